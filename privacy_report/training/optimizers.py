"""A variant's optimizer: a class of keras.optimizers by its import path, with its learning rate."""

from __future__ import annotations

from privacy_report.errors import UserError
from privacy_report.pipeline.component import make
from privacy_report.training.backend import keras
from privacy_report.training.schema import Variant

ONLY_FIT = ("use_ema", "loss_scale_factor")
"""Settings that only Keras's own `fit` acts on."""


def build(config: Variant) -> keras.optimizers.Optimizer:
    """The optimizer of a variant, not built yet.

    It is called with `learning_rate`, or where there is a schedule with that: the schedule gets
    `learning_rate` as its `initial_learning_rate`, if it takes one, and counts steps. Raises UserError of one
    line for what is no optimizer or no schedule, and for their settings.
    """
    if useless := [name for name in ONLY_FIT if config.optimizer.settings.get(name)]:
        raise UserError(
            f"optimizer.settings: {useless[0]} works in Keras's fit alone, and not here; leave it out"
        )
    if "learning_rate" in config.optimizer.settings:
        raise UserError(
            "optimizer.settings: learning_rate is the variant's own, not the optimizer's; set it there"
        )
    rate = config.learning_rate
    if config.schedule:
        rate = make("schedule", config.schedule, initial_learning_rate=rate)
        _check("schedule", config.schedule.path, rate, keras.optimizers.schedules.LearningRateSchedule)
    optimizer = make("optimizer", config.optimizer, learning_rate=rate)
    _check("optimizer", config.optimizer.path, optimizer, keras.optimizers.Optimizer)
    return optimizer


def _check(key: str, path: str, made: object, kind: type) -> None:
    if not isinstance(made, kind):
        raise UserError(
            f"{key}.path: {path} gives a {type(made).__name__}, allowed: a {kind.__name__} of Keras"
        )
