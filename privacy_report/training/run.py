"""All epochs of one model, from the store where they are there, else trained now.

This module is light: TensorFlow is imported only when there is work.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from privacy_report.datasets.prepared import Prepared
from privacy_report.pipeline import memo
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.memo import Arrays, Memo
from privacy_report.pipeline.policy import read_policy
from privacy_report.training import thinned
from privacy_report.training.data import Data, of_variant
from privacy_report.training.schema import Variant

if TYPE_CHECKING:
    from privacy_report.training.trainer import Trainer

TRAINER = "privacy_report.training.trainer.Trainer"
ORDINARY = "privacy_report.training.ordinary.Ordinary"
PRIVATE = "privacy_report.training.private.Private"
MAKE = "privacy_report.training.run.make_trainer"
PLAIN = "privacy_report.training.run.plain_trainer"
SCORER = "privacy_report.training.scoring.Scorer"
TARGET = "privacy_report.training.canaries.target_trainer"

NO_PART = ("label", "epochs", "epochs_per_report", "canaries")
"""Parameters of a variant that no epoch's result depends on; canaries are data, with a digest."""


def code_of(config: Variant, *roots: str) -> dict[str, Any]:
    """Code, versions and environment that every epoch of a variant's models depends on (`memo.base`)."""
    return memo.base(*roots, MAKE, TRAINER, _regime(config), chosen=config.chosen)


def variant_inputs(name: str, config: Variant, data: str) -> dict[str, Any]:
    """What every epoch of a variant depends on; see `epoch_inputs`."""
    return code_of(config, TARGET if config.canaries else PLAIN) | epoch_inputs(name, config, data)


def epoch_inputs(name: str, config: Variant, data: str) -> dict[str, Any]:
    """What every epoch of the model called `name` depends on next to `code_of`.

    data: the digest of its examples, canaries included. Where the noise is solved from a target epsilon, it
    depends on the number of epochs, too.
    """
    settings = asdict(config)
    solved = config.privacy is not None and config.privacy.target_epsilon is not None
    for key in NO_PART:
        if not (solved and key == "epochs"):
            settings.pop(key)
    return {"name": name, "data": data, **settings}


def finished_epochs(
    kept: Memo, config: Variant, inputs: dict[str, Any], make: Callable[[], Trainer]
) -> Iterator[tuple[int, Arrays]]:
    """(epoch, its arrays) for each epoch; `inputs` are those of `variant_inputs`, `make` makes the trainer.

    An epoch's key has a digest of the epoch before it. With secret noise an epoch that was lost comes back
    different; what had been trained from the lost one is no longer the same run, and epsilon counts one run.
    The policy of the store says which epochs stay there; of the others the history is left and given.
    They are trained again where they are needed. Checkpoints are always given in full.
    """
    trainer: Trainer | None = None
    full: tuple[int, Arrays | None] = 0, None  # the last epoch at hand, and its arrays
    before: str | None = None
    keys: list[str] = []

    def train(epoch: int) -> Arrays:
        nonlocal trainer
        trainer = trainer or make()
        at, arrays = full
        if arrays is not None:
            trainer.restore(arrays)
        for number in range(at + 1, epoch + 1):
            arrays = trainer.run(number)
        assert arrays is not None
        return arrays

    keep = "all" if config.privacy and config.privacy.seed == "secret" else read_policy().keep
    for epoch in range(1, config.epochs + 1):
        keys.append(memo.digest(inputs | {"epoch": epoch, "before": before}))
        arrays = kept.recall("epoch", keys[-1], partial(train, epoch))
        if thinned.is_rest(arrays) and epoch in (*config.checkpoint_epochs, config.epochs):
            arrays = kept.restore(
                "epoch", keys[-1], thinned.again(arrays, train(epoch), f"{inputs['name']}, epoch {epoch}")
            )
        before = thinned.digest_of(arrays)
        at, state = full
        if keep != "all" and state is not None and at == epoch - 1 and at not in config.checkpoint_epochs:
            thinned.thin(keys[-2], state)
        if not thinned.is_rest(arrays):
            full = epoch, arrays
        yield epoch, arrays
    if keep == "last":
        thinned.thin_all(keys[:-1])


def score_inputs(model: Component, data: str) -> dict[str, Any]:
    """What the outputs of every checkpoint of a model depend on, next to its architecture and weights."""
    return memo.base(SCORER, chosen=[model.path], data=data, settings=model.settings)


def score_key(inputs: dict[str, Any], state: Arrays) -> str:
    """The key of one checkpoint's outputs; its optimizer and its history have no part in them."""
    used = {name: value for name, value in state.items() if name.startswith(("architecture", "weights/"))}
    return memo.digest(inputs | {"model": memo.arrays_digest(used)})


def make_trainer(name: str, config: Variant, data: Data) -> Trainer:
    """A trainer for the model called `name`, whose way of training and architecture the variant names."""
    from privacy_report.training.trainer import Trainer

    regime = _import(_regime(config))(name, config, len(data.train))
    return Trainer(name, config, data, regime)


def plain_trainer(name: str, config: Variant, found: Prepared) -> Trainer:
    """The trainer of a variant without canaries; with them it is `canaries.target_trainer`."""
    return make_trainer(name, config, of_variant(found))


def _regime(config: Variant) -> str:
    """A variant is private if and only if it has a section `privacy`."""
    return PRIVATE if config.privacy else ORDINARY


def _import(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(module), name)
