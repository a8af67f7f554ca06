"""The line with which a stage that uses TensorFlow begins: on which device it works."""

from __future__ import annotations

from privacy_report.pipeline.params import load
from privacy_report.training import device
from privacy_report.training.schema import BackendParams


def announce(stage: str) -> None:
    """Choose the device that the section `backend` names, and say so in a line that begins with the stage."""
    print(f"{stage}: {device.use(load('backend', BackendParams).device)}", flush=True)
