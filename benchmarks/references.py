"""Reference models an hour: our engine next to the usual loop of Keras `fit` and `predict`, in one run.

Both train the same models (the codelab's CNN at batch 50) on the same random halves of data/prepare for the
same number of epochs, and then take the outputs of all examples. Ours is what the stage does, on a cluster of
one process a core, into an empty store. The loop trains one model after the other in one process, as the
published code for these attacks does. Each is timed as a process of its own, imports and the cluster's start
included, which weigh less the more there is to train.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from privacy_report.datasets import prepared
from privacy_report.pipeline.component import Component
from privacy_report.training.memberships import ReferenceParams, halves
from privacy_report.training.schema import SMALL_CNN, Variant


def cnn(num_conv: int) -> Component:
    return Component(SMALL_CNN, {"num_conv": num_conv})


def engine(models: int, epochs: int, num_conv: int) -> None:
    """The stage's way."""
    from privacy_report.training.engine import train
    from privacy_report.training.plan import source_of
    from privacy_report.training.references import ReferenceChain, planned

    config = Variant("benchmark", cnn(num_conv), epochs=epochs, epochs_per_report=epochs)
    params, about = ReferenceParams(models=models, epochs=epochs), prepared.read().about
    n = about["n_member"] + about["n_nonmember"]
    references = planned("benchmark", config, params, n, source_of("cnn2"))
    with tempfile.TemporaryDirectory() as store:
        os.environ["DVC_ROOT"] = store
        train([*map(ReferenceChain, references)], "engine")


def loop(models: int, epochs: int, num_conv: int) -> None:
    """The usual way."""
    from benchmarks import reference

    data = prepared.read()
    n_classes = data.about["n_classes"]
    x, y = reference.prepare(data.images, data.labels, n_classes)
    for members in halves(len(x), models, seed=0):
        model = reference.small_cnn(num_conv, x.shape[1:], n_classes)
        model.fit(x[members], y[members], batch_size=reference.BATCH, epochs=epochs, verbose=0)
        reference.predict(model, x)


WAYS: dict[str, Callable[[int, int, int], None]] = {"loop": loop, "engine": engine}


def seconds(way: str, arguments: list[str]) -> float:
    """Wall time of a process that does it one way."""
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "benchmarks.references", "--way", way, *arguments],
        check=True,
        cwd=Path(__file__).resolve().parents[1],
    )
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--num-conv", type=int, default=2)
    parser.add_argument("--way", choices=WAYS, help="do it one way, without a clock")
    args = parser.parse_args()
    if args.way:
        WAYS[args.way](args.models, args.epochs, args.num_conv)
        return
    walls = {way: seconds(way, sys.argv[1:]) for way in WAYS}
    about = prepared.read().about
    table = Table(
        title=f"{about['name']}: {args.models} references, {args.epochs} epochs, "
        f"{args.num_conv} convolutions, {os.cpu_count()} cores"
    )
    for column in ("way", "seconds", "references an hour", "ratio"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for way, wall in walls.items():
        table.add_row(way, f"{wall:.1f}", f"{3600 * args.models / wall:.1f}", f"{walls['loop'] / wall:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
