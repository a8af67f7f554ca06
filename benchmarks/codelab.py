"""The whole codelab: ours next to the reference's way, in one run on one machine.

Each part runs in a process of its own, the two ways in turn, `--rounds` times; the table has medians.
Timed on real CIFAR-10: the second epoch of training with validation, a pass of scoring over all 60,000
images after a short one, and the threshold and logistic regression attacks on one checkpoint's real
scores (the median of three times in a process, since a stage attacks many checkpoints). "Whole codelab" is
2 variants, 50 epochs and 25 checkpoints each: the reference's is put together from these parts and not run
in full, ours is one `dvc repro` from an empty store (`whole_codelab`). Writes benchmarks/results.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import whole_codelab
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.outputs import read_outputs
from privacy_report.training import plan
from privacy_report.training.data import Data
from privacy_report.training.job import NOWHERE
from privacy_report.training.schema import Variant

if TYPE_CHECKING:
    from privacy_report.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[1]
PREPARED = ROOT / "data/prepare"
RESULTS = ROOT / "benchmarks/results.json"
SCORES = ROOT / "data/score/cnn2/epoch_0050.npz"
VARIANTS = {"cnn2": 2, "cnn3": 3}
EPOCHS, CHECKPOINTS = 50, 25
WARM_UP = 1000
Timing = dict[str, float]


def clock(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def load() -> dict[str, np.ndarray]:
    """The prepared dataset."""
    return {name: np.load(PREPARED / f"{name}.npy") for name in ("images", "labels", "member", "nonmember")}


def examples(data: dict[str, np.ndarray]) -> Data:
    """The dataset as our trainer takes it."""
    return Data(data["images"], data["labels"], data["member"], data["nonmember"], n_classes=10)


def trainer_of(name: str, config: Variant, data: Data) -> Trainer:
    """Our trainer of a variant."""
    from privacy_report.training import target  # brings TensorFlow

    return target.trainer_of(plan.job_of(name, config, NOWHERE), data)


def reference_train(variant: str) -> Timing:
    """`Model.fit` with validation, `Model.predict` of both sides."""
    from benchmarks import reference

    data = load()
    (x_in, y_in), (x_out, y_out) = (
        reference.prepare(data["images"][data[side]], data["labels"][data[side]], 10)
        for side in ("member", "nonmember")
    )
    shape = data["images"].shape[1:]
    del data  # the codelab keeps one copy
    model = reference.small_cnn(VARIANTS[variant], shape, 10)
    epochs = reference.fit(model, x_in, y_in, x_out, y_out, epochs=2)
    reference.predict(model, x_out[:WARM_UP])
    return {"epoch": epochs[-1], "score": clock(lambda: reference.predict(model, x_in, x_out))}


def our_train(variant: str) -> Timing:
    """Our trainer's epoch, our scorer's pass."""
    from privacy_report.training.schema import SMALL_CNN

    data = load()
    model = Component(SMALL_CNN, {"num_conv": VARIANTS[variant]})
    trainer = trainer_of(variant, Variant(variant, model), examples(data))
    epochs = [clock(lambda number=number: trainer.run(number)) for number in (1, 2)]
    predict = trainer.predict
    everyone = np.concatenate([data["member"], data["nonmember"]])
    predict(data["images"], everyone[:WARM_UP])
    return {"epoch": epochs[-1], "score": clock(lambda: predict(data["images"], everyone))}


def reference_attack(scores: str) -> Timing:
    """The reference procedure on one checkpoint, 11 slices: per slice two folds, a grid search in each."""
    from benchmarks import attack_speed

    outputs = read_outputs(scores)
    return {"attack": repeated(lambda: attack_speed.seconds(outputs, "parity"))}


def our_attack(scores: str) -> Timing:
    """The same rows in the default mode; `stage` is all that the stage computes: halves and risk too."""
    from benchmarks import attack_speed

    outputs = read_outputs(scores)
    return {
        "attack": repeated(lambda: attack_speed.seconds(outputs, "default")),
        "stage": repeated(lambda: attack_speed.stage_seconds(outputs)),
    }


def our_private(variant: str) -> Timing:
    """A private epoch at the committed variant's shape, for its memory."""
    from privacy_report.training.schema import SMALL_CNN, Privacy

    privacy = Privacy(noise_multiplier=1.0)
    model = Component(SMALL_CNN, {"num_conv": 3, "activation": "tanh"})
    config = Variant(label=variant, model=model, batch_size=500, privacy=privacy)
    trainer = trainer_of(variant, config, examples(load()))
    return {"epoch": clock(lambda: trainer.run(1))}


def repeated(seconds: Callable[[], float]) -> float:
    """The median of three measurements."""
    return statistics.median(seconds() for _ in range(3))


PARTS = {
    timed.__name__: timed for timed in (reference_train, our_train, our_private, reference_attack, our_attack)
}


def run_part(name: str, argument: str, **env: str) -> Timing:
    """A part's timings, from a process of its own; `memory` is its peak in MiB."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.codelab", "--part", name, argument],
        cwd=ROOT, env=os.environ | env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{name} {argument} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def one_round(scores: Path) -> dict[str, Timing]:
    """All parts once, the two ways in turn; then our variants side by side."""
    timings = {}
    for variant in VARIANTS:
        timings[f"reference {variant}"] = run_part("reference_train", variant)
        timings[f"ours {variant}"] = run_part("our_train", variant)
    timings["ours private"] = run_part("our_private", "cnn3_dp")
    timings["reference attack"] = run_part("reference_attack", str(scores))
    timings["ours attack"] = run_part("our_attack", str(scores))
    with ThreadPoolExecutor() as pool:
        trained = list(pool.map(lambda v: run_part("our_train", v, TF_NUM_INTEROP_THREADS="1"), VARIANTS))
        attacked = list(pool.map(lambda _: run_part("our_attack", str(scores)), VARIANTS))
        for variant, *parts in zip(VARIANTS, trained, attacked, strict=True):
            memory = max(timing["memory"] for timing in parts)
            timings[f"side by side {variant}"] = parts[0] | parts[1] | {"memory": memory}
    return timings


def summarise(rounds: list[dict[str, Timing]], whole: Timing) -> dict[str, dict[str, float]]:
    """Row name -> reference, ours (seconds or MiB) and their ratio, from medians over the rounds."""

    def median(name: str, key: str) -> float:
        return statistics.median(timings[name][key] for timings in rounds)

    def total(way: str, key: str) -> float:
        return sum(median(f"{way} {variant}", key) for variant in VARIANTS)

    beside = {key: max(median(f"side by side {v}", key) for v in VARIANTS) for key in ("epoch", "stage")}
    reference = EPOCHS * total("reference", "epoch") + CHECKPOINTS * total("reference", "score")
    reference += len(VARIANTS) * CHECKPOINTS * median("reference attack", "attack")
    rows = {
        f"train epoch, {v}": (median(f"reference {v}", "epoch"), median(f"ours {v}", "epoch"))
        for v in VARIANTS
    }
    rows |= {
        "train epoch, both variants side by side": (total("reference", "epoch"), beside["epoch"]),
        "score 60,000 images": (median("reference cnn2", "score"), median("ours cnn2", "score")),
        "attack a checkpoint": (median("reference attack", "attack"), median("ours attack", "attack")),
        whole_codelab.ROW: (reference, whole["seconds"]),
        "after a change of an attack parameter": (reference, CHECKPOINTS * beside["stage"]),
    }
    for row, kind in (("peak memory of any process, MiB", ""), ("peak memory of the attacks, MiB", "attack")):
        rows[row] = (peak(rounds, "reference", kind), peak(rounds, "", kind))
    return {name: {"reference": a, "ours": b, "ratio": a / b} for name, (a, b) in rows.items()}


def private_epochs() -> dict[str, dict[str, float]]:
    """What privacy costs: seconds of a vectorized_map epoch, of ours, and ours over the plain epoch."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.private_epoch", "--json"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {
        f"private epoch of 5,000, batch {size} ({way['private'] / way['plain']:.2f} x the plain one)": {
            "reference": way["vectorized_map"],
            "ours": way["private"],
            "ratio": way["vectorized_map"] / way["private"],
        }
        for size, way in json.loads(done.stdout).items()
    }


def processor() -> str:
    """The processor's name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    names = (
        [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        if cpuinfo.exists()
        else []
    )
    return names[0].split(":")[1].strip() if names else platform.processor() or platform.machine()


def peak(rounds: list[dict[str, Timing]], way: str, kind: str) -> float:
    """The largest memory of a way's processes (`way` is "reference", or "" for ours) for `kind`, MiB."""
    return max(
        timing["memory"]
        for timings in rounds
        for name, timing in timings.items()
        if name.startswith("reference") == bool(way) and kind in name
    )


def show(rows: dict[str, dict[str, float]]) -> None:
    """Print the table."""
    table = Table("seconds, medians", "reference", "ours", "ratio")
    for name, row in rows.items():
        table.add_row(name, f"{row['reference']:.2f}", f"{row['ours']:.2f}", f"{row['ratio']:.2f}")
    Console(width=100).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each part is timed (default: 3)")
    parser.add_argument(
        "--scores", type=Path, default=SCORES, help="score file to attack (default: the last of cnn2)"
    )
    parser.add_argument("--part", nargs=2, metavar=("PART", "ARGUMENT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        timing = PARTS[args.part[0]](args.part[1])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(timing | {"memory": peak}))
        return
    if not args.scores.exists():
        sys.exit(f"{args.scores}: no such file; `make repro` makes it")
    rounds = [one_round(args.scores) for _ in range(args.rounds)]
    whole = whole_codelab.measure()
    rows = summarise(rounds, whole) | private_epochs()
    show(rows)
    machine = {"processor": processor(), "cores": os.cpu_count(), "python": platform.python_version()}
    results = {"machine": machine, "rounds": rounds, "whole": whole, "table": rows}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
