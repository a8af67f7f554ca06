"""What is measured after each epoch: the one list of names that training, gate and report share."""

from __future__ import annotations

HISTORY = (
    "running_loss",
    "running_accuracy",
    "val_loss",
    "val_accuracy",
    "epsilon",
    "epsilon_rdp",
    "noise_multiplier",
)
"""The running ones are means during the epoch, while the weights change."""
