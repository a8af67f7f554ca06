"""The pipeline's package: one folder a DVC stage, run as `python -m stages.<stage> [variant]`."""
