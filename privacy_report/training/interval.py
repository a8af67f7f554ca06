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
from functools import cache, lru_cache
from typing import Any

import numpy as np
from distributed import Worker, get_worker

from privacy_report.datasets import canaries
from privacy_report.errors import UserError
from privacy_report.pipeline import memo
from privacy_report.pipeline.memo import Arrays
from privacy_report.training import run
from privacy_report.training.data import Data, of_references
from privacy_report.training.references import Reference, advance, code_of
from privacy_report.training.schema import Privacy, Variant

STALE = "has loaded code that has changed since; restart it"


class FailedError(Exception):
    """What went wrong in an interval, in one line."""


def one_line(error: BaseException) -> str:
    """An exception's type and text."""
    return " ".join(f"{type(error).__name__}: {error}".split())


@dataclass(frozen=True)
class Source:
    """Where the examples are on a disk that workers may share, and the digest of what is there.

    folder: the prepared one; canaries: the variant's file of them.
    """

    folder: str
    digest: str
    canaries: str


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


def code_on_disk(kinds: Iterable[Variant]) -> dict[str, dict[str, Any]]:
    """Kind of variant -> code, versions and environment of its references, as they are on disk now."""
    return {_kind(kind): code_of(kind) for kind in kinds}


def _kind(config: Variant) -> str:
    return " ".join([*config.chosen, *(["privately"] if config.privacy else [])])


KINDS = {_kind(kind): kind for kind in (Variant(""), Variant("", privacy=Privacy(noise_multiplier=1.0)))}
LOADED = code_on_disk(KINDS.values())
"""What this process computes with: it cannot unlearn what it has imported.

Both of them begin with what the library has, and get the kinds of a user's own models when they are first
met, which is before their modules are imported.
"""


@cache
def _changed_while_loading(kind: str) -> bool:
    """Import the rest of the code, which is heavy; whether it is other code than at first."""
    for root in (run.TRAINER, run.ORDINARY, run.PRIVATE):
        importlib.import_module(root.rpartition(".")[0])
    for chosen in KINDS[kind].chosen:
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
    here, expected = _loaded(reference.config), reference.inputs
    for part in ("versions", "environment"):
        if here[part] != expected[part]:
            return f"has other {part}: {here[part]}, expected {expected[part]}"
    if here["code"] == expected["code"]:
        return ""
    if code_of(reference.config)["code"] == expected["code"]:
        return STALE
    return "has other code than this checkout; bring both to the same commit"


def _loaded(config: Variant) -> dict[str, Any]:
    """What this process computes a kind of variant with.

    One that is met later than others may share modules with them, which then must be as they were.
    """
    kind = _kind(config)
    if kind not in LOADED:
        if code_on_disk(KINDS.values()) != LOADED:
            return LOADED[_kind(Variant(""))] | {"code": STALE}
        KINDS[kind], LOADED[kind] = config, code_of(config)
    return LOADED[kind]


def greet(reference: Reference, source: Source, dask_worker: Worker) -> Greeting:
    """Whether this worker may train, and whether it finds the examples by itself."""
    threads = dask_worker.state.nthreads
    if threads != 1:  # TensorFlow's and this package's state belong to the process
        return Greeting(f"has {threads} threads; start it with --nthreads 1", False)
    return Greeting(refusal(reference), _finds(source))


_received: dict[str, Data] = {}
"""Digest -> examples that were sent to this process; those of one dataset at a time."""


def receive(digest: str, data: Data) -> None:
    """Keep examples for this worker's tasks."""
    _received.clear()
    _received[digest] = data


def _finds(source: Source) -> bool:
    """Whether this worker has the examples, in memory or in its own folder."""
    try:
        return (
            source.digest in _received
            or canaries.files_digest(source.canaries, source.folder) == source.digest
        )
    except (UserError, OSError):
        return False


def read(source: Source) -> Data:
    """All examples of a variant (`of_references`), canaries last: see `World.for_references`.

    UserError where the files are others by now.
    """
    if canaries.files_digest(source.canaries, source.folder) != source.digest:
        raise UserError(f"{source.folder}: other examples than when this run started, run again")
    return of_references(canaries.read_world(source.canaries, source.folder).for_references)


_read_once = lru_cache(maxsize=1)(read)


def work(
    reference: Reference, trains: np.ndarray, source: Source, state: Arrays | None, epochs: range
) -> Done:
    """One interval of one model; see `references.advance`."""
    worker = get_worker().address
    if why := refusal(reference) or (STALE if _changed_while_loading(_kind(reference.config)) else ""):
        return Done(worker=worker, refused=f"worker {worker} {why}")
    if not _finds(source):
        return Done(worker=worker)
    started = time.monotonic()
    try:
        data = _received.get(source.digest) or _read_once(source)
        phi, after = advance(reference, trains, data, state, epochs)
    except UserError as error:
        return Done(worker=worker, refused=str(error))
    except Exception as error:  # Dask waits for ever for one that does not survive pickling
        raise FailedError(one_line(error)) from None
    return Done(phi, after, time.monotonic() - started, memo.processor(), worker)
