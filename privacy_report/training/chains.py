"""Models on their way through the engine: how far the store has them, what comes next, and what that leaves.

A chain is one model's intervals, each of which begins with the state that the one before has left. Chains are
this process's; a worker gets what is in `Model`. This module is light.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

from privacy_report.errors import UserError
from privacy_report.pipeline import memo, store
from privacy_report.pipeline.contract import CANARIES
from privacy_report.pipeline.digests import Arrays, arrays_digest
from privacy_report.pipeline.store import Entry
from privacy_report.training import plan
from privacy_report.training.job import Job
from privacy_report.training.plan import EPOCH, SCORE, Recipe, Scores, Target

STATE, SCORES = "state", "scores"
"""Names of results: the state to go on from, the scores of all examples except for the canaries."""
Results = dict[str, Entry]


class Model(Protocol):
    """What a worker is told of a model; it is pickled.

    recipes: the code of each kind of result, and what the keys say of it.
    """

    @property
    def job(self) -> Job: ...

    @property
    def recipes(self) -> list[tuple[Recipe, dict[str, Any]]]: ...

    def interval(self, state: Arrays | None, epochs: range) -> Results:
        """Train over `epochs` from `state`, None at the beginning. Brings TensorFlow."""
        ...


def finished(arrays: Arrays, started: float) -> Entry:
    """The entry of a result that this process has worked on since `started`, of time.monotonic."""
    return Entry(arrays, time.monotonic() - started, memo.processor())


class Chain(ABC):
    """One model: the epochs that the store has, those that are left, and how it goes.

    model: for the workers; last: its last epoch; size: the examples of one epoch; kind: of models that take
    as long for an example; at: finished epochs; said: what the last one measured, by name, NaN where it did
    not.
    """

    def __init__(self, model: Model, last: int, size: int):
        self.model, self.last, self.size = model, last, size
        self.kind = f"{model.job.config} {model.job.regime}"
        self.at = 0
        self.said: dict[str, float] = {}

    @property
    def name(self) -> str:
        return self.model.job.name

    @property
    def left(self) -> int:
        """How many epochs are to be trained."""
        return self.last - self.at

    @abstractmethod
    def next(self) -> range:
        """The epochs of the next interval."""

    @abstractmethod
    def key(self) -> str:
        """The store's key of what the next interval leaves."""

    @abstractmethod
    def stored(self) -> Arrays | None:
        """The state to go on from, from the store; None at the beginning.

        UserError where it was lost meanwhile.
        """

    @abstractmethod
    def keep(self, results: Results) -> None:
        """Store the results of the next interval, which is the one before then."""

    def note(self, state: Arrays) -> None:
        """Note what the last epoch measured."""
        keys = {"loss": "running_loss", "validation accuracy": "val_accuracy"}
        self.said = {name: float(state.get(f"history/{key}", math.nan)) for name, key in keys.items()}


def state_in(kind: str, key: str, name: str, epoch: int) -> Arrays:
    """A state that was in the store a while ago."""
    entry = store.get(kind, key)
    if entry is None:
        raise UserError(f"{name}: its state at epoch {epoch} was lost, run again")
    return entry.arrays


@dataclass(frozen=True)
class Scored:
    """A target whose checkpoints are scored as soon as they are there.

    checkpoints: their epochs; canaries: whether there are any, whose scores are apart.
    """

    target: Target
    scores: Scores
    checkpoints: tuple[int, ...]
    canaries: bool

    @property
    def job(self) -> Job:
        return self.target.job

    @property
    def recipes(self) -> list[tuple[Recipe, dict[str, Any]]]:
        return [(planned.recipe, planned.inputs) for planned in (self.target, self.scores)]

    def interval(self, state: Arrays | None, epochs: range) -> Results:
        """Train one epoch; the state after it and, at a checkpoint, its scores."""
        from privacy_report.training import scoring, target

        (epoch,) = epochs
        started = time.monotonic()
        after = target.epoch(self.job, state, epoch)
        results = {STATE: finished(after, started)}
        if epoch in self.checkpoints:
            used, name = plan.scored_part(after), f"{self.job.name} at epoch {epoch}"
            for kind in self.parts:
                started = time.monotonic()
                arrays = scoring.score(
                    self.scores.model,
                    self.scores.source,
                    kind == CANARIES,
                    used,
                    name,
                    self.scores.queries,
                )
                results[kind] = finished(arrays, started)
        return results

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the scores of a checkpoint."""
        return (SCORES, CANARIES) if self.canaries else (SCORES,)


class TargetChain(Chain):
    """A target, of which each epoch is kept."""

    model: Scored

    def __init__(self, model: Scored, last: int, size: int):
        super().__init__(model, last, size)
        self._before: str | None = None  # digest of the state to go on from
        self._reached = ""  # and its key
        while self.left and (entry := store.get(EPOCH, self.key())):
            self._go_on(entry.arrays)

    def next(self) -> range:
        return range(self.at + 1, self.at + 2)

    def key(self) -> str:
        return self.model.target.key(self.at + 1, self._before)

    def stored(self) -> Arrays | None:
        return state_in(EPOCH, self._reached, self.name, self.at) if self.at else None

    def keep(self, results: Results) -> None:
        """The scores first: whoever finds the state finds them."""
        state = results[STATE]
        for kind in self.model.parts:
            if kind in results:
                used = plan.scored_part(state.arrays)
                store.put(SCORE, self.model.scores.key(used, kind == CANARIES), results[kind])
        store.put(EPOCH, self.key(), state)
        self._go_on(state.arrays)

    def _go_on(self, state: Arrays) -> None:
        self._reached, self._before, self.at = self.key(), arrays_digest(state), self.at + 1
        self.note(state)
