"""How long a study trains on many workers: the engine itself, with tasks that sleep a hundredth.

`--durations STUDY` takes the seconds of every interval, of targets with the scores of their checkpoints and
of reference models, from the store of a finished study. Then `privacy_report.training.engine` trains models
that only sleep, on Dask's own scheduler, with as many workers as WORKERS says, each a thread of this process.
Next to it stand the least possible, which is the longest model's intervals one after the other or the share
of a worker in all, and what Keras's `Model.fit` would take with that many cores for a model after the other:
by Amdahl's law from its speed-up on two cores (`--model-fit`, on an idle machine), if it were as fast on one
core as what was measured.

All of it is in benchmarks/makespan.json; without an option only the engine runs again.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
import numpy as np
from distributed import LocalCluster

from benchmarks.cluster import QUIET
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.store import Entry
from privacy_report.training import engine
from privacy_report.training.chains import STATE, Chain, Results
from privacy_report.training.job import Job, Source
from privacy_report.training.schema import Variant

OUT = Path(__file__).with_suffix(".json")
WORKERS = (2, 8, 16, 41, 100)
SHARE = 0.01
POLL = 0.001  # of the engine, whose tasks take a hundredth here
CORES, TRIES, EPOCHS = (1, 2), 3, 3


class Here(Source):
    """Examples that every worker has."""

    def found(self) -> bool:
        return True


@dataclass(frozen=True)
class Sleeper:
    """A model whose intervals take `seconds`."""

    job: Job
    seconds: tuple[float, ...]
    recipes: list[Any] = field(default_factory=list)

    def interval(self, state: Any, epochs: range) -> Results:
        time.sleep(SHARE * self.seconds[epochs[0] - 1])
        return {STATE: Entry({}, 0.0, "")}


class Sleeping(Chain):
    """A model whose intervals count as epochs."""

    model: Sleeper

    def next(self) -> range:
        return range(self.at + 1, self.at + 2)

    def key(self) -> str:
        return f"{self.name} {self.at + 1}"

    def stored(self) -> None:
        return None

    def keep(self, results: Results) -> None:
        self.at += 1


def chain_of(name: str, kind: str, examples: int, seconds: list[float]) -> Sleeping:
    """kind: models of one kind are as fast for an example, which the engine learns when the first has run."""
    job = Job(name, Variant(kind), "", Here("", "", ""))
    return Sleeping(Sleeper(job, tuple(seconds)), len(seconds), examples)


def makespan(models: dict[str, dict[str, Any]], workers: int) -> float:
    """Seconds that the engine takes for all models, at full length."""
    chains = [chain_of(name, **model) for name, model in models.items()]
    with LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=False, dashboard_address=None, memory_limit=None
    ) as cluster:
        started = time.monotonic()
        with dask.config.set(scheduler_address=cluster.scheduler_address):
            engine.train(chains, f"{workers} workers")
        return (time.monotonic() - started) / SHARE


def durations(study: Path) -> dict[str, dict[str, Any]]:
    """Model -> its kind, and the examples of an interval and the seconds of each.

    Each takes the median of the model's, since other work may have run beside some when they were computed.
    """
    from privacy_report.pipeline import store
    from privacy_report.pipeline.digests import arrays_digest, digest
    from privacy_report.training.plan import EPOCH, SCORE, scored_part
    from privacy_report.training.references import KIND
    from stages.fit import asked

    os.chdir(study)
    models: dict[str, dict[str, Any]] = {}

    def seconds(kind: str, key: str) -> tuple[Entry, float]:
        entry = store.get(kind, key)
        assert entry is not None, f"the store of {study} lacks a {kind}"
        return entry, entry.seconds

    def add(name: str, job: Job, examples: int, taken: list[float]) -> None:
        kind = digest([repr(job.config), job.regime])[:8]
        models[name] = {
            "kind": kind,
            "examples": examples,
            "seconds": [statistics.median(taken)] * len(taken),
        }

    for name, wanted in asked().items():
        taken, before, target = [], None, wanted.target.target
        for epoch in range(1, wanted.config.epochs + 1):
            entry, took = seconds(EPOCH, target.key(epoch, before))
            before = arrays_digest(entry.arrays)
            if epoch in wanted.target.checkpoints:
                used = scored_part(entry.arrays)
                for canaries in (False, True)[: len(wanted.target.parts)]:
                    took += seconds(SCORE, wanted.target.scores.key(used, canaries))[1]
            taken.append(took)
        add(name, target.job, wanted.size, taken)
        for reference in wanted.references:
            taken = [seconds(KIND, reference.key(epoch))[1] for epoch in reference.epochs]
            add(reference.job.name, reference.job, int(reference.trains.sum()) * reference.epochs[0], taken)
    return models


def model_fit(cores: int) -> float:
    """Seconds of an epoch of Keras's `Model.fit` of `cnn2` with so many cores: the median after the first."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    from benchmarks import reference
    from privacy_report.datasets import prepared

    data = prepared.read()
    n_classes = data.about["n_classes"]
    sides = [
        reference.prepare(data.images[rows], data.labels[rows], n_classes)
        for rows in (data.member, data.nonmember)
    ]
    model = reference.small_cnn(2, sides[0][0].shape[1:], n_classes)
    return statistics.median(reference.fit(model, *sides[0], *sides[1], EPOCHS)[1:])


def model_fit_alone(cores: int) -> float:
    """The same in a process of its own, since TensorFlow counts its cores once; the median of TRIES."""
    command = [sys.executable, "-m", "benchmarks.makespan", "--cores", str(cores)]
    said = [
        subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
        for _ in range(TRIES)
    ]
    return statistics.median(float(output.splitlines()[-1]) for output in said)


def amdahl(one_core: float, two: float, cores: int) -> float:
    """The share of one core's time that `cores` take, where one took `one_core` seconds and two `two`."""
    parallel = 2 * (1 - two / one_core)
    return 1 - parallel + parallel / cores


def table(results: dict[str, Any]) -> list[list[str]]:
    """The rows of docs/scale.md: workers, minutes of the engine, the least possible, and Model.fit."""
    per_model = [sum(model["seconds"]) for model in results["models"].values()]
    fit, rows = results.get("model_fit"), []
    for workers, seconds in sorted(results["makespan"].items(), key=lambda row: int(row[0])):
        least = max(max(per_model), sum(per_model) / int(workers))
        keras = sum(per_model) * amdahl(fit["1"], fit["2"], int(workers)) if fit else np.nan
        rows.append(
            [workers, *("-" if np.isnan(span) else f"{span / 60:.1f}" for span in (seconds, least, keras))]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--durations", type=Path, metavar="STUDY", help="measured by this study")
    parser.add_argument("--model-fit", action="store_true", help="measure Model.fit on data/prepare, too")
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cores:
        print(model_fit(args.cores))
        return
    results = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {}
    if args.model_fit:
        results["model_fit"] = {str(cores): model_fit_alone(cores) for cores in CORES}
    if args.durations:
        results["models"] = durations(args.durations.resolve())
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    engine.POLL = POLL
    with tempfile.TemporaryDirectory() as folder, dask.config.set(QUIET):
        os.environ["DVC_ROOT"] = folder
        results["makespan"] = {str(workers): makespan(results["models"], workers) for workers in WORKERS}
    write_json(OUT, results)
    for row in table(results):
        print(*row, sep="\t")


if __name__ == "__main__":
    main()
