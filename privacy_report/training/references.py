"""Reference models: trained as a variant is, on other examples and with another seed, in short intervals.

A reference is trained from checkpoint epoch to checkpoint epoch. What an interval leaves are the state to go
on from and phi, the logit-scaled confidence of every example, so that a lost worker costs one interval.
This module is light: TensorFlow is imported only by `advance`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from privacy_report.attack.confidence import logit_confidence
from privacy_report.errors import UserError
from privacy_report.pipeline import memo
from privacy_report.pipeline.memo import Arrays
from privacy_report.training import run
from privacy_report.training.data import OF_REFERENCES, Data
from privacy_report.training.memberships import halves
from privacy_report.training.schema import ReferenceParams, Variant

if TYPE_CHECKING:
    from privacy_report.training.trainer import Trainer

ADVANCE = "privacy_report.training.references.advance"
PHI = "phi"


@dataclass(frozen=True)
class Reference:
    """One reference model to train.

    name: its randomness derives from it; config: the variant's, with reproducible noise; inputs: what all its
    results depend on (see `inputs`); epochs: those after which phi is kept, ascending.
    """

    name: str
    config: Variant
    inputs: dict[str, Any]
    epochs: tuple[int, ...]

    def key(self, epoch: int) -> str:
        """The memo's key of what is there after `epoch` epochs."""
        return memo.digest(self.inputs | {"epoch": epoch})


def code_of(config: Variant) -> dict[str, Any]:
    """Code, versions and environment that a variant's references depend on (`memo.base`)."""
    return run.code_of(config, ADVANCE, OF_REFERENCES)


def memberships(variant: str, params: ReferenceParams, n: int) -> np.ndarray:
    """Which of a variant's references trains on which of n examples, bool (models, n)."""
    models = params.models_of(variant)
    return halves(n, models, params.seed, params.fraction) if models else np.zeros((0, n), bool)


def planned(variant: str, config: Variant, params: ReferenceParams, n: int, data: str) -> list[Reference]:
    """The references of a variant.

    n: examples, members and non-members together; data: their digest. Raises UserError for fewer epochs than
    the first checkpoint has.
    """
    trains = memberships(variant, params, n)
    last = min(params.epochs or config.epochs, config.epochs)
    epochs = tuple(epoch for epoch in config.checkpoint_epochs if epoch <= last)
    if len(trains) and not epochs:
        raise UserError(
            f"reference.epochs: got {params.epochs}, allowed: at least {config.epochs_per_report}, the first "
            f"checkpoint of {variant}"
        )
    if config.privacy:  # the attacker's own noise: nobody is protected by keeping it secret
        config = replace(config, privacy=replace(config.privacy, seed="committed"))
    code, references = code_of(config), []
    for i, members in enumerate(trains):
        name = f"{variant} reference {i} of seed {params.seed}"
        inputs = code | run.epoch_inputs(name, config, data) | {"members": memo.arrays_digest({"": members})}
        references.append(Reference(name, config, inputs, epochs))
    return references


def advance(
    reference: Reference, trains: np.ndarray, data: Data, state: Arrays | None, epochs: range
) -> tuple[np.ndarray, Arrays]:
    """Train one reference over `epochs` (1-based, each after the other); phi (n,) float32, and the state.

    data: rows `train` are all examples in the order of `trains` bool (n,), who of them it trains on; no
    validation. state: what the epoch before the first left, None at the beginning. Raises UserError that
    names a model whose outputs are not finite.
    """
    trainer = _trainer(reference, trains, data, fresh=state is None)
    if state is not None:
        trainer.restore(state)
    for epoch in epochs:
        state = trainer.run(epoch)
    assert state is not None
    phi = logit_confidence(trainer.predict(data.images, data.train), data.labels[data.train])
    if bad := int(np.count_nonzero(~np.isfinite(phi))):
        raise UserError(
            f"{reference.name}: diverged, {bad} of {len(phi)} outputs are not finite after epoch {epochs[-1]}"
        )
    return phi.astype(np.float32), state


_last: dict[str, Trainer] = {}
"""The trainer of the model that this process trained last: building one takes seconds."""


def _trainer(reference: Reference, trains: np.ndarray, data: Data, fresh: bool) -> Trainer:
    identity = reference.key(0)
    if fresh or identity not in _last:
        _last.clear()
        own = replace(data, train=data.train[trains])
        _last[identity] = run.make_trainer(reference.name, reference.config, own)
    return _last[identity]
