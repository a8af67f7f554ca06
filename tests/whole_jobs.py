"""Jobs of a small study by their functions alone: what each opens and runs, next to what its key covers.

What is here runs in a process that has a copy's code alone (`key_jobs.in_process`): nothing of ours may be
imported at the top.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from key_jobs import KINDS, Noted


@dataclass(frozen=True)
class Whole:
    """A job to be done by its function alone.

    given: pickled, what the function gets; covered: the files of code that its key holds; data: the files
    whose digests its key holds; stored: the digest of what the store has.
    """

    name: str
    function: str
    given: bytes
    covered: frozenset[str]
    data: frozenset[str]
    stored: str


def whole_jobs(kind: str, variant: str) -> list[Whole]:
    """The jobs of a stage, of several that differ in their data alone the last."""
    from privacy_report.pipeline import memo, store
    from privacy_report.pipeline.digests import arrays_digest

    covered, code_of = {}, memo.code_of

    def noted(*roots: str, **more: Any) -> Any:
        code = code_of(*roots, **more)
        covered[code.digest()] = frozenset(os.path.relpath(path) for path in code.files)
        return code

    memo.code_of = noted
    kept = Noted(variant)
    KINDS[kind](variant, kept)
    prepared = {*map(str, Path("data/prepare").iterdir()), f"data/canaries/{variant}.npz"}
    jobs = {}
    for call in kept.calls:
        given = call.given
        if call.kind == "reference":
            reference, state, epochs = given
            given = (reference.job, reference.trains, state, epochs, reference.queries)
        entry = store.get(call.kind, call.key)
        assert entry is not None, call
        data = frozenset(map(os.path.relpath, _paths(given)) if kind == "attack" else prepared)
        jobs[call.function, call.code, getattr(given[0], "attack", "")] = Whole(
            call.name,
            call.function,
            pickle.dumps(given),
            covered[call.code],
            data,
            arrays_digest(entry.arrays),
        )
    return list(jobs.values())


def _paths(value: Any) -> Iterator[Path]:
    """All paths in what a function gets."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, dict):
        yield from _paths(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _paths(item)
    elif hasattr(value, "__dataclass_fields__"):
        yield from _paths(vars(value))


def alone(job: Whole) -> tuple[set[str], set[str], str]:
    """Do a job by its function alone, in a fresh process: files below the working folder that were opened or
    imported, those of the functions that ran, and the digest of what came out.
    """
    here, opened, ran = os.getcwd() + os.sep, set[str](), set[str]()

    def heard(event: str, given: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(given[0], str | bytes):
            opened.add(os.path.abspath(os.fsdecode(given[0])))
        elif event == "import":
            imported.add(given[0])

    def profiled(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            ran.add(frame.f_code.co_filename)

    imported: set[str] = set()
    sys.addaudithook(heard)
    sys.setprofile(profiled)
    given = pickle.loads(job.given)
    module, _, name = job.function.rpartition(".")
    output = getattr(importlib.import_module(module), name)(*given)
    sys.setprofile(None)
    for name in imported:
        opened.add(str(getattr(sys.modules.get(name), "__file__", None)))
    if isinstance(output, tuple):  # phi, and the state to go on from
        output = {"phi": output[0]}
    arrays_digest = importlib.import_module("privacy_report.pipeline.digests").arrays_digest

    def below(paths: set[str]) -> set[str]:
        return {
            os.path.relpath(path) for path in paths if path.startswith(here) and "__pycache__" not in path
        }

    return below(opened), below(ran), arrays_digest(output)
