"""Which device trains and scores, chosen before TensorFlow is imported."""

from __future__ import annotations

import os
from pathlib import Path

from privacy_report.training.schema import CPU, GPU

VARIABLE = "PRIVACY_REPORT_DEVICE"
"""Set where it is not the CPU; for processes that start from this one, and in the memo's keys."""


def use(device: str) -> str:
    """Choose the device of this process; what to say about it, in a line."""
    if device == GPU:
        os.environ[VARIABLE] = GPU
        return "device: gpu, with TensorFlow's deterministic operations"
    os.environ.pop(VARIABLE, None)
    if any(Path("/dev").glob("nvidia[0-9]*")):
        return "device: cpu; there is a GPU here, which backend.device=gpu would use, with other bits"
    return "device: cpu"


def chosen() -> str:
    """The device that was chosen."""
    return os.environ.get(VARIABLE, CPU)
