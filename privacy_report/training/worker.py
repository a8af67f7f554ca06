"""What a worker does: show that it has the expected code, hold the examples, train an interval of a model.

Importing this module is light; TensorFlow comes with the first interval.
"""

from __future__ import annotations

import importlib
import logging
import random
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from distributed import Worker, get_worker

from privacy_report.datasets.canaries import World
from privacy_report.errors import UserError, type_and_text
from privacy_report.pipeline.digests import Arrays
from privacy_report.training import job
from privacy_report.training.chains import Model, Results
from privacy_report.training.plan import SCORING, TARGET, Recipe, job_of, recipe_of
from privacy_report.training.references import HANDS, REFERENCE
from privacy_report.training.schema import SMALL_CNN, Privacy, Variant

STALE = "has loaded code that has changed since; restart it"


class FailedError(Exception):
    """What went wrong in an interval, in one line."""


@dataclass(frozen=True)
class Done:
    """What a task returns: an interval's results, or why there are none.

    refused: one line, no other try can help; without results and reason this worker had no examples, or the
    results were lost with it.
    """

    results: Results | None = None
    seconds: float = 0.0
    worker: str = ""
    refused: str = ""


def code_on_disk(recipes: Iterable[Recipe]) -> dict[Recipe, dict[str, Any]]:
    """Code, versions and environment of each recipe, as they are on disk now."""
    return {recipe: recipe.base() for recipe in recipes}


def _library_recipes() -> Iterable[Recipe]:
    for config in (Variant(""), Variant("", privacy=Privacy(noise_multiplier=1.0))):
        library_job = job_of("", config, job.NOWHERE)
        yield from (recipe_of(TARGET, library_job), recipe_of(REFERENCE, library_job, HANDS))
    yield Recipe((SCORING,), (SMALL_CNN,))


LOADED = code_on_disk(_library_recipes())
"""What this process computes with: it cannot unlearn what it has imported.

It begins with what the library has, and gets the recipes of a user's own models when they are first met,
which is before their modules are imported.
"""


@cache
def _changed_while_loading(recipe: Recipe) -> bool:
    """Import the rest of the code, which is heavy; whether it is other code than at first."""
    for known in [*LOADED]:
        importlib.import_module(known.roots[0])
        for regime in known.roots[1:]:
            importlib.import_module(regime.rpartition(".")[0])
    for chosen in recipe.chosen:
        with suppress(Exception):  # of a user's own module; it is raised again when the model is built
            importlib.import_module(chosen.rpartition(".")[0])
    _give_keras_a_generator()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # model after model it warns of too many graphs
    return code_on_disk(LOADED) != LOADED


def _give_keras_a_generator() -> None:
    """Let Keras seed, and draw the initial weights from, a generator of its own.

    It takes Python's, and so do Dask's heartbeats in another thread: between the two calls they would change
    the weights. A generator with the same seed draws the same.
    """
    generator = random.Random()
    for module, name in (("random.seed_generator", "python_random"), ("utils.rng_utils", "random")):
        keras_module = importlib.import_module(f"keras.src.{module}")
        assert hasattr(keras_module, name), f"{keras_module.__name__} has no {name}"
        setattr(keras_module, name, generator)


def refusal(model: Model) -> str:
    """Why this process must not train a model; empty when it computes with what the keys say."""
    return next(filter(None, (_refusal(*pair) for pair in model.recipes)), "")


def _refusal(recipe: Recipe, expected: dict[str, Any]) -> str:
    here = _loaded(recipe)
    for key in ("versions", "environment"):
        if here[key] != expected[key]:
            differing = sorted({name for name, _ in here[key].items() ^ expected[key].items()})
            got, wanted = ({name: given[key].get(name) for name in differing} for given in (here, expected))
            return f"has other {key}: {got}, expected {wanted}"
    if here["code"] == expected["code"]:
        return ""
    if recipe.base()["code"] == expected["code"]:
        return STALE
    return "has other code than this checkout; bring both to the same commit"


def _loaded(recipe: Recipe) -> dict[str, Any]:
    """What this process computes the results of a recipe with.

    One that is met later than others may share modules with them, which then must be as they were.
    """
    if recipe not in LOADED:
        if code_on_disk(LOADED) != LOADED:
            return next(iter(LOADED.values())) | {"code": STALE}
        LOADED[recipe] = recipe.base()
    return LOADED[recipe]


def greet(model: Model, dask_worker: Worker) -> str:
    """Why this worker must not train; empty when it may."""
    threads = dask_worker.state.nthreads
    if threads != 1:  # TensorFlow's and this package's state belong to the process
        return f"has {threads} threads; start it with --nthreads 1"
    return refusal(model)


def receive(digest: str, world: World) -> None:
    """Keep examples for this worker's tasks."""
    job.hold(digest, world)


def work(model: Model, state: Arrays | None, epochs: range) -> Done:
    """One interval of one model."""
    worker = get_worker().address
    why = refusal(model)
    if not why and any(_changed_while_loading(recipe) for recipe, _ in model.recipes):
        why = STALE
    if why:
        return Done(worker=worker, refused=f"worker {worker} {why}")
    if not model.job.source.found():
        return Done(worker=worker)
    started = time.monotonic()
    try:
        results = model.interval(state, epochs)
    except UserError as error:
        return Done(worker=worker, refused=str(error))
    except Exception as error:  # Dask waits for ever for one that does not survive pickling
        raise FailedError(type_and_text(error)) from None
    return Done(results, time.monotonic() - started, worker)
