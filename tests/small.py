"""The codelab's CNN as a variant names it."""

from __future__ import annotations

from typing import Any

from privacy_report.pipeline.component import Component
from privacy_report.training.schema import SMALL_CNN


def small_cnn(**settings: Any) -> Component:
    """`small_cnn` with some settings, the others as they are by default."""
    return Component(SMALL_CNN, settings)
