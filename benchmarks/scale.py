"""How costs grow: CPU seconds and peak memory against examples, classes, checkpoints, variants, references.

Each point is the median of three processes that do one piece of work on made-up inputs each; the clock starts
when its modules are imported and its inputs lie on the disk. CPU seconds, since other users of the machine
change them least; the wall time stands next to them. The exponent of a curve is the slope between its two
largest sizes in log-log: start-up, which makes small sizes look cheap, weighs least there. Memory is the peak
of the whole process, interpreter and libraries included. `python -m benchmarks.scale` writes
benchmarks/scale.json and benchmarks/scale.png and prints one line per curve; names of works measure those
alone.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scaled_work import WORK, write_outputs

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).parent
RECORD = HERE / "scale.json"
MANY, CLASSES = (10_000, 100_000, 1_000_000), (10, 100, 1000)
Curve = tuple[str, str, tuple[int, ...]]
CURVES: tuple[Curve, ...] = (
    ("audit", "examples", MANY),
    ("audit", "classes", CLASSES),
    ("attacks on a checkpoint", "examples", MANY),
    ("lira and rmia", "examples", MANY),
    ("lira and rmia", "references", (4, 16, 64)),
    ("report", "variants", (3, 10, 30)),
    ("compose", "variants", (3, 12, 30)),
    ("no-op dvc repro", "variants", (3, 12, 30)),
    ("attacks on checkpoints", "checkpoints", (25, 100, 200)),
)
"""What is done, along which axis, at which sizes. What an axis leaves open is in FIXED."""
FIXED = {"examples": 60_000, "classes": 10, "checkpoints": 1, "references": 8, "variants": 3}
ROUNDS = 3
AT_CLASSES = 30_000
"""Examples of the curve over classes."""


def cpu() -> float:
    """CPU seconds of this process and of the commands that it ran."""
    parts = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in parts)


def measure(name: str, folder: str, sizes: dict[str, int]) -> None:
    """One point, in this process: prints its numbers as the last line."""
    work = WORK[name](Path(folder), **sizes)
    at, started = cpu(), time.monotonic()
    work()
    seconds = {"cpu": cpu() - at, "wall": time.monotonic() - started}
    print(json.dumps(seconds | {"peak_mb": peak_mb(of_commands=name == "no-op dvc repro")}))


def peak_mb(of_commands: bool) -> float:
    """The largest memory of this process, or of a command that it ran.

    Of this process from Linux's VmHWM: getrusage would include what the parent held when it forked.
    """
    if of_commands:
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024 / 1e6


def point(name: str, axis: str, size: int) -> dict[str, float]:
    """One point: medians of ROUNDS, each in a process of its own."""
    sizes = FIXED | ({"examples": AT_CLASSES} if axis == "classes" else {}) | {axis: size}
    rounds = [one_round(name, axis, sizes) for _ in range(ROUNDS)]
    return {key: statistics.median(numbers[key] for numbers in rounds) for key in rounds[0]}


def one_round(name: str, axis: str, sizes: dict[str, int]) -> dict[str, float]:
    """CPU seconds, wall seconds and peak memory of one process that does the work once."""
    with tempfile.TemporaryDirectory() as folder:
        if name in ("audit", "attacks on a checkpoint"):
            write_outputs(Path(folder, "outputs"), sizes["examples"], sizes["classes"])
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.scale", "--point", name, folder, json.dumps(sizes)],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        sys.exit(f"{name}, {sizes[axis]} {axis}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def exponent(sizes: tuple[int, ...], values: list[float]) -> float:
    """Slope between the two largest sizes in log-log."""
    return math.log(values[-1] / values[-2]) / math.log(sizes[-1] / sizes[-2])


def matmul() -> float:
    """Billions of float32 operations a second in a product of matrices, on one core: the machine's floor."""
    a = np.random.default_rng(0).standard_normal((2000, 2000), dtype=np.float32)
    a @ a
    started = time.process_time()
    for _ in range(5):
        a @ a
    return 5 * 2 * 2000**3 / (time.process_time() - started) / 1e9


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """One log-log picture of CPU seconds against size, a panel an axis."""
    from matplotlib.figure import Figure

    axes_names = list(dict.fromkeys(result["axis"] for result in results))
    figure = Figure(figsize=(3.2 * len(axes_names), 3.4), layout="constrained")
    panels = figure.subplots(1, len(axes_names), sharey=True)
    for panel, axis in zip(panels, axes_names, strict=True):
        for result in (result for result in results if result["axis"] == axis):
            label = f"{result['work']} ({result['exponent']:.2f})"
            panel.loglog(result["sizes"], [cost["cpu"] for cost in result["points"]], marker="o", label=label)
        ticks = sorted({size for result in results if result["axis"] == axis for size in result["sizes"]})
        panel.set_xticks(ticks, [f"{size:,}" for size in ticks])
        panel.set_xticks([], minor=True)
        panel.set_xlabel(axis)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7, title="work (exponent)", title_fontsize=7)
    panels[0].set_ylabel("CPU seconds")
    figure.savefig(path, dpi=110, metadata={"Software": None})


def words(curve: dict[str, Any]) -> list[str]:
    """A curve's row in docs/benchmarks.md."""
    points = zip(curve["sizes"], curve["points"], strict=True)
    numbers = "; ".join(f"{size:,}: {cost['cpu']:.2f} ({cost['peak_mb']:.0f})" for size, cost in points)
    return [curve["work"], curve["axis"], numbers, f"{curve['exponent']:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"only these of: {', '.join(WORK)}")
    parser.add_argument("--point", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        name, folder, sizes = args.point
        measure(name, folder, json.loads(sizes))
        return
    if unknown := set(args.works) - set(WORK):
        parser.error(f"{', '.join(sorted(unknown))}: allowed: {', '.join(WORK)}")
    results = _before(set(args.works))
    for work, axis, sizes in CURVES:
        if args.works and work not in args.works:
            continue
        points = [point(work, axis, size) for size in sizes]
        slope = exponent(sizes, [cost["cpu"] for cost in points])
        results.append({"work": work, "axis": axis, "sizes": sizes, "points": points, "exponent": slope})
        cells = ", ".join(
            f"{size:,}: {cost['cpu']:.2f} s ({cost['wall']:.2f} s wall, {cost['peak_mb']:.0f} MB)"
            for size, cost in zip(sizes, points, strict=True)
        )
        print(f"{work} by {axis}: {cells}; exponent {slope:.2f}", flush=True)
        results.sort(key=lambda curve: [entry[:2] for entry in CURVES].index((curve["work"], curve["axis"])))
        record = {"matmul_gflops": matmul(), "curves": results}
        RECORD.write_text(json.dumps(record, indent=2) + "\n")
    draw(results, HERE / "scale.png")


def _before(works: set[str]) -> list[dict[str, Any]]:
    """What was measured before of other work than `works`, where only those are asked for."""
    if not works or not RECORD.exists():
        return []
    return [curve for curve in json.loads(RECORD.read_text())["curves"] if curve["work"] not in works]


if __name__ == "__main__":
    main()
