"""What dvc.yaml runs: one short module a stage, `python -m stages.<stage> [variant]`."""
