"""What a worker does: show that it has the expected code, hold the examples, train an interval of a model.

Importing this module is light; TensorFlow comes with the first interval.
"""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from distributed import Worker, get_worker

from privacy_report.datasets.canaries import World
from privacy_report.errors import UserError
from privacy_report.pipeline import memo
from privacy_report.pipeline.digests import Arrays
from privacy_report.training import job
from privacy_report.training.job import Job
from privacy_report.training.plan import job_of
from privacy_report.training.references import HANDS, REFERENCE, Reference
from privacy_report.training.schema import Privacy, Variant

STALE = "has loaded code that has changed since; restart it"


class FailedError(Exception):
    """What went wrong in an interval, in one line."""


def one_line(error: BaseException) -> str:
    """An exception's type and text."""
    return " ".join(f"{type(error).__name__}: {error}".split())


@dataclass(frozen=True)
class Greeting:
    """A worker's answer before it gets work: why it must not compute, and whether it finds the examples."""

    refused: str
    has_examples: bool


@dataclass(frozen=True)
class Done:
    """What a task returns: an interval's results, or why there are none.

    refused: one line, no other try can help; without results and reason this worker had no examples.
    """

    phi: np.ndarray | None = None
    state: Arrays | None = None
    seconds: float = 0.0
    processor: str = ""
    worker: str = ""
    refused: str = ""


def code_on_disk(kinds: Iterable[Job]) -> dict[str, dict[str, Any]]:
    """Kind of job -> code, versions and environment of its references, as they are on disk now."""
    return {_kind(kind): _code_of(kind) for kind in kinds}


def _code_of(kind: Job) -> dict[str, Any]:
    return memo.base(REFERENCE, kind.regime, chosen=kind.config.chosen, hands=HANDS)


def _kind(kind: Job) -> str:
    return " ".join([kind.regime, *kind.config.chosen])


def _library_kinds() -> Iterable[Job]:
    for config in (Variant(""), Variant("", privacy=Privacy(noise_multiplier=1.0))):
        yield job_of("", config, job.NOWHERE)


KINDS = {_kind(kind): kind for kind in _library_kinds()}
LOADED = code_on_disk(KINDS.values())
"""What this process computes with: it cannot unlearn what it has imported.

Both of them begin with what the library has, and get the kinds of a user's own models when they are first
met, which is before their modules are imported.
"""


@cache
def _changed_while_loading(kind: str) -> bool:
    """Import the rest of the code, which is heavy; whether it is other code than at first."""
    importlib.import_module(REFERENCE)
    for known in KINDS.values():
        importlib.import_module(known.regime.rpartition(".")[0])
    for chosen in KINDS[kind].config.chosen:
        with suppress(Exception):  # of a user's own module; it is raised again when the model is built
            importlib.import_module(chosen.rpartition(".")[0])
    _give_keras_a_generator()
    return code_on_disk(KINDS.values()) != LOADED


def _give_keras_a_generator() -> None:
    """Let Keras seed, and draw the initial weights from, a generator of its own.

    It takes Python's, and so do Dask's heartbeats in another thread: between the two calls they would change
    the weights. A generator with the same seed draws the same.
    """
    generator = random.Random()
    for module, name in (("random.seed_generator", "python_random"), ("utils.rng_utils", "random")):
        found = importlib.import_module(f"keras.src.{module}")
        assert hasattr(found, name), f"{found.__name__} has no {name}"
        setattr(found, name, generator)


def refusal(reference: Reference) -> str:
    """Why this process must not train a reference; empty when it computes with what the keys say."""
    here, expected = _loaded(reference.job), reference.inputs
    for part in ("versions", "environment"):
        if here[part] != expected[part]:
            return f"has other {part}: {here[part]}, expected {expected[part]}"
    if here["code"] == expected["code"]:
        return ""
    if _code_of(reference.job)["code"] == expected["code"]:
        return STALE
    return "has other code than this checkout; bring both to the same commit"


def _loaded(wanted: Job) -> dict[str, Any]:
    """What this process computes a kind of job with.

    One that is met later than others may share modules with them, which then must be as they were.
    """
    kind = _kind(wanted)
    if kind not in LOADED:
        if code_on_disk(KINDS.values()) != LOADED:
            return next(iter(LOADED.values())) | {"code": STALE}
        KINDS[kind], LOADED[kind] = wanted, _code_of(wanted)
    return LOADED[kind]


def greet(reference: Reference, dask_worker: Worker) -> Greeting:
    """Whether this worker may train, and whether it finds the examples by itself."""
    threads = dask_worker.state.nthreads
    if threads != 1:  # TensorFlow's and this package's state belong to the process
        return Greeting(f"has {threads} threads; start it with --nthreads 1", False)
    return Greeting(refusal(reference), reference.job.source.found())


def receive(digest: str, world: World) -> None:
    """Keep examples for this worker's tasks."""
    job.hold(digest, world)


def work(reference: Reference, state: Arrays | None, epochs: range) -> Done:
    """One interval of one model; see `reference.interval`."""
    worker = get_worker().address
    if why := refusal(reference) or (STALE if _changed_while_loading(_kind(reference.job)) else ""):
        return Done(worker=worker, refused=f"worker {worker} {why}")
    if not reference.job.source.found():
        return Done(worker=worker)
    from privacy_report.training.reference import interval

    started = time.monotonic()
    try:
        phi, after = interval(reference.job, reference.trains, state, epochs)
    except UserError as error:
        return Done(worker=worker, refused=str(error))
    except Exception as error:  # Dask waits for ever for one that does not survive pickling
        raise FailedError(one_line(error)) from None
    return Done(phi, after, time.monotonic() - started, memo.processor(), worker)
