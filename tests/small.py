"""The codelab's CNN as a variant names it, and trainers of variants on given examples."""

from __future__ import annotations

from typing import Any

from privacy_report.pipeline.component import Component
from privacy_report.training.job import NOWHERE
from privacy_report.training.plan import job_of
from privacy_report.training.schema import SMALL_CNN


def small_cnn(**settings: Any) -> Component:
    """`small_cnn` with some settings, the others as they are by default."""
    return Component(SMALL_CNN, settings)


def make_trainer(name: str, config: Any, data: Any, absent: Any = None) -> Any:
    """The trainer of a variant called `name` on `data`, less what is `absent`."""
    from privacy_report.training.target import trainer_of  # brings TensorFlow

    return trainer_of(job_of(name, config, NOWHERE), data, absent)
