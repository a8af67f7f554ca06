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
import importlib
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
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


def write_outputs(folder: Path, n: int, n_classes: int) -> Path:
    """A folder of .npy files as `privacy-report audit` takes it, in parts; five sixths are members."""
    rng, folder = np.random.default_rng(0), Path(folder)
    folder.mkdir(parents=True)
    for side, rows in (("member", n * 5 // 6), ("nonmember", n - n * 5 // 6)):
        labels = rng.integers(0, n_classes, rows)
        np.save(folder / f"{side}_labels.npy", labels)
        logits = np.lib.format.open_memmap(folder / f"{side}_logits.npy", "w+", np.float32, (rows, n_classes))
        for start in range(0, rows, 10_000):
            part = slice(start, min(start + 10_000, rows))
            drawn = rng.standard_normal((part.stop - part.start, n_classes), dtype=np.float32)
            drawn[np.arange(len(drawn)), labels[part]] += 3 + 0.3 * (side == "member")
            logits[part] = drawn
    return folder


def audit(folder: Path, examples: int, classes: int, **_: int) -> Callable[[], object]:
    """Threshold and logistic regression on the entire dataset and each class, with all that is written."""
    from privacy_report.commands.audit import main

    chosen = ["--attacks", "threshold,logistic", "--slices", "entire,class"]
    return lambda: main([str(folder / "outputs"), *chosen, "--out", str(folder / "audit")])


def attacks(folder: Path, **_: int) -> Callable[[], object]:
    """What stage attack computes of one checkpoint with these two attacks: both halves, and the risks."""
    from privacy_report.attack.checkpoint import attack_outputs
    from privacy_report.audits.attacks import audit_params
    from privacy_report.pipeline.outputs import read_outputs

    params = replace(audit_params(["threshold", "logistic"]), delta=1e-7)  # of a million members
    return lambda: attack_outputs(read_outputs(folder / "outputs"), params)


def checkpoints(folder: Path, checkpoints: int, **_: int) -> Callable[[], object]:
    """Stage attack on checkpoints of 2,000 examples, all new to the store."""
    import yaml
    from planted import planted, write_references, write_target

    from stages.attack import main

    os.chdir(folder)
    settings = {"attacks": ["threshold", "trajectory"], "slices": ["entire", "class"]}
    Path("params.yaml").write_text(yaml.safe_dump({"attack": settings}))
    world = planted(k=0, n_member=1000, n_nonmember=1000)
    logits, rng = world.checkpoints[6], np.random.default_rng(0)
    for epoch in range(1, checkpoints + 1):
        world.checkpoints[epoch] = logits + rng.normal(0, 0.1, logits.shape).astype(np.float32)
    write_target(world)
    write_references(Path("data/reference/cnn2"), world.trains, {})
    return lambda: main(["cnn2"])


def references(folder: Path, examples: int, references: int, **_: int) -> Callable[[], object]:
    """Scores of `lira` and `rmia` on one checkpoint, with the references' checks."""
    from privacy_report.attack.reference_scores import lira, rmia
    from privacy_report.attack.references import References

    rng = np.random.default_rng(0)
    phi = rng.normal(3, 2, (references, examples)).astype(np.float32)
    trains, target = np.zeros((references, examples), bool), rng.normal(3, 2, examples)
    trains[::2] = rng.random((references // 2, examples)) < 0.5
    trains[1::2] = ~trains[::2]

    def work() -> None:
        found = References(phi, trains)
        lira(target, found)
        rmia(target, found)

    return work


def report(folder: Path, variants: int, **_: int) -> Callable[[], object]:
    """Stage report on a study of 25 checkpoints per variant, two attacks, all kinds of slices."""
    sys.path.insert(0, str(ROOT / "tests/report"))
    made = importlib.import_module("conftest")
    from stages.gate import main as gate
    from stages.report import main

    os.chdir(folder)
    study = made.Study(folder, variants=variants, epochs=50, every=2, whole=True)
    study.write()
    for name in study.names():
        gate([name])
    return lambda: main([])


def compose(folder: Path, variants: int, **_: int) -> Callable[[], object]:
    """Stage compose on so many variants."""
    from privacy_report.composition import composed

    root = repository(folder, variants)
    return lambda: composed(str(root / "conf"))


def noop(folder: Path, variants: int, **_: int) -> Callable[[], object]:
    """`dvc repro` that finds nothing to do; outputs are small files that stand in for real ones."""
    root = repository(folder, variants)
    run(root, sys.executable, "-m", "stages.compose")
    stand_in(root)
    run(root, "dvc", "commit", "--force", "--quiet")
    assert "up to date" in run(root, "dvc", "repro")
    return lambda: run(root, "dvc", "repro")


def repository(folder: Path, variants: int) -> Path:
    """A copy of this repository with so many variants."""
    from sandbox import make_sandbox

    from benchmarks.noop import add_variant

    made = make_sandbox(folder / "repository")
    for i in range(3, variants):
        add_variant(made, f"extra{i}")
    return made.root


def stand_in(root: Path) -> None:
    """What stages would write, as small files, or folders with one."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        stages = list(repo.index.stages)
        paths = [Path(one.fs_path) for stage in stages for one in (*stage.deps, *stage.outs)]
    for path in sorted(path for path in paths if not path.exists()):
        file = path if path.suffix else path / "file.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}\n")


def run(root: Path, *command: str) -> str:
    """What a command prints; its failure is an error."""
    from sandbox import environment

    done = subprocess.run(command, cwd=root, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


WORK: dict[str, Callable[..., Callable[[], object]]] = {
    "audit": audit,
    "attacks on a checkpoint": attacks,
    "attacks on checkpoints": checkpoints,
    "lira and rmia": references,
    "report": report,
    "compose": compose,
    "no-op dvc repro": noop,
}


def cpu() -> float:
    """CPU seconds of this process and of the commands that it ran."""
    parts = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in parts)


def measure(name: str, folder: str, sizes: dict[str, int]) -> None:
    """One point, in this process: prints its numbers as the last line."""
    work = WORK[name](Path(folder), **sizes)
    at, started = cpu(), time.monotonic()
    work()
    found = {"cpu": cpu() - at, "wall": time.monotonic() - started}
    print(json.dumps(found | {"peak_mb": peak_mb(of_commands=name == "no-op dvc repro")}))


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
    return {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}


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
            panel.loglog(result["sizes"], [one["cpu"] for one in result["points"]], marker="o", label=label)
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
    numbers = "; ".join(f"{size:,}: {one['cpu']:.2f} ({one['peak_mb']:.0f})" for size, one in points)
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
        found = exponent(sizes, [one["cpu"] for one in points])
        results.append({"work": work, "axis": axis, "sizes": sizes, "points": points, "exponent": found})
        cells = ", ".join(
            f"{size:,}: {one['cpu']:.2f} s ({one['wall']:.2f} s wall, {one['peak_mb']:.0f} MB)"
            for size, one in zip(sizes, points, strict=True)
        )
        print(f"{work} by {axis}: {cells}; exponent {found:.2f}", flush=True)
        results.sort(key=lambda curve: [one[:2] for one in CURVES].index((curve["work"], curve["axis"])))
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
