"""What a variant's training and scoring depend on, and their results from the store or else computed now.

This module is light: TensorFlow is imported only when there is work. What computes is `target`, `reference`
and `scoring`; they get their parameters from here and by way of the engine, which are in their keys, alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from privacy_report.datasets import canaries, prepared
from privacy_report.pipeline import memo
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.digests import Arrays, arrays_digest, digest
from privacy_report.pipeline.memo import Memo
from privacy_report.training.job import Job, Source
from privacy_report.training.schema import Queries, Variant

TARGET = "privacy_report.training.target"
SCORING = "privacy_report.training.scoring"
HANDS = (
    __name__,
    "privacy_report.training.chains",
    "privacy_report.training.engine",
    "privacy_report.training.worker",
)
"""What hands over the parameters and states that the keys state."""
EPOCH, SCORE = "epoch", "score"
"""Kinds of entries of the store."""
ORDINARY = "privacy_report.training.ordinary.Ordinary"
PRIVATE = "privacy_report.training.private.Private"


def source_of(variant: str) -> Source:
    """The examples of a variant as they are on disk now. UserError where there are none."""
    path = canaries.path_of(variant)
    folder = prepared.FOLDER
    return Source(str(folder.resolve()), str(path.resolve()), canaries.files_digest(path, folder))


def essential(config: Variant) -> Variant:
    """A variant's parameters, less those that no epoch's result depends on.

    Canaries are data, with a digest, unless they are gradients. The number of epochs counts where the noise
    is solved from a target epsilon. What is left out is out of the training's sight, so that it cannot be
    used unnoticed. What attackers ask comes after training.
    """
    solved = config.privacy is not None and config.privacy.target_epsilon is not None
    epochs = config.epochs if solved else 1
    return replace(
        config,
        label="",
        epochs=epochs,
        epochs_per_report=1,
        canaries=config.gradient_canaries,
        repeats=None,
        remedy_of=None,
        queries=None,
    )


def job_of(name: str, config: Variant, source: Source) -> Job:
    """The training of a model called `name`; a private one if the variant has a section `privacy`."""
    return Job(name, essential(config), PRIVATE if config.privacy else ORDINARY, source)


@dataclass(frozen=True)
class Recipe:
    """The code that makes a kind of result. See `memo.base`."""

    roots: tuple[str, ...]
    chosen: tuple[str, ...]
    hands: tuple[str, ...] = HANDS

    def base(self) -> dict[str, Any]:
        """This code as it is on disk now, with the versions of its libraries and its environment."""
        return memo.base(*self.roots, chosen=self.chosen, hands=self.hands)


def recipe_of(root: str, job: Job, hands: tuple[str, ...] = HANDS) -> Recipe:
    """The code by which `root`, a job's module, makes something of a model."""
    return Recipe((root, job.regime), tuple(job.config.chosen), hands)


def inputs_of(recipe: Recipe, job: Job) -> dict[str, Any]:
    """What all that a recipe makes of a model depends on; of the examples their digest."""
    return recipe.base() | {"name": job.name, "config": asdict(job.config), "data": job.source.digest}


@dataclass(frozen=True)
class Target:
    """A target to train, and what every epoch of it depends on."""

    job: Job
    recipe: Recipe
    inputs: dict[str, Any]

    def key(self, epoch: int, before: str | None) -> str:
        """The memo's key of an epoch; before: the digest of the arrays that the epoch before it left."""
        return digest(self.inputs | {"epoch": epoch, "before": before})

    def epochs(self, kept: Memo, last: int) -> Iterator[tuple[int, Arrays]]:
        """(epoch, its arrays) for each epoch up to `last`, from the store or else trained now.

        An epoch's key has a digest of the epoch before it. With secret noise an epoch that was lost comes
        back different; what had been trained from the lost one is no longer the same run, and epsilon counts
        one run.
        """
        state, before = None, None
        for epoch in range(1, last + 1):
            state = kept.recall(EPOCH, self.key(epoch, before), partial(_train, self.job, state, epoch))
            before = arrays_digest(state)
            yield epoch, state


def target(name: str, config: Variant, source: Source) -> Target:
    """The target of a variant."""
    job = job_of(name, config, source)
    recipe = recipe_of(TARGET, job)
    return Target(job, recipe, inputs_of(recipe, job))


def _train(job: Job, state: Arrays | None, epoch: int) -> Arrays:
    from privacy_report.training import target  # brings TensorFlow

    return target.epoch(job, state, epoch)


@dataclass(frozen=True)
class Scores:
    """The outputs of a variant's checkpoints, and what all of them depend on."""

    model: Component
    source: Source
    recipe: Recipe
    inputs: dict[str, Any]
    queries: Queries | None = None

    def of(self, kept: Memo, arrays: Arrays, name: str, canaries: bool) -> Arrays:
        """A checkpoint's scores, from the store or else computed now; see `scoring.score`.

        Its optimizer and its history have no part in them.
        """
        used = scored_part(arrays)
        compute = partial(_score, self.model, self.source, canaries, used, name, self.queries)
        return kept.recall(SCORE, self.key(used, canaries), compute)

    def key(self, used: Arrays, canaries: bool) -> str:
        """The memo's key of the scores of a checkpoint's `scored_part`."""
        return digest(self.inputs | {"weights": arrays_digest(used), "canaries": canaries})


def scored_part(arrays: Arrays) -> Arrays:
    """What of a checkpoint's arrays its scores depend on."""
    return {key: value for key, value in arrays.items() if key.startswith(("architecture", "weights/"))}


def scores(model: Component, source: Source, queries: Queries | None = None) -> Scores:
    """The outputs of a variant's checkpoints; queries: what else is asked of them."""
    recipe = Recipe((SCORING,), (model.path,))
    inputs = recipe.base() | {"model": asdict(model), "data": source.digest} | asked(queries)
    return Scores(model, source, recipe, inputs, queries)


def asked(queries: Queries | None) -> dict[str, Any]:
    """What a key says of queries next to each example itself: nothing where there are none."""
    return {"queries": asdict(queries)} if queries else {}


def _score(
    model: Component, source: Source, canaries: bool, arrays: Arrays, name: str, queries: Queries | None
) -> Arrays:
    from privacy_report.training import scoring  # brings TensorFlow

    return scoring.score(model, source, canaries, arrays, name, queries)
