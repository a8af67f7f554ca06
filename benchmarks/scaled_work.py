"""The pieces of work that benchmarks/scale.py measures, on made-up inputs.

A function prepares the inputs, as large as it is told, and returns what is to be measured.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))


def write_outputs(folder: Path, n: int, n_classes: int) -> Path:
    """A folder of .npy files as `privacy-report audit` takes it, in parts; five sixths are members."""
    rng, folder = np.random.default_rng(0), Path(folder)
    folder.mkdir(parents=True)
    for side, rows in (("member", n * 5 // 6), ("nonmember", n - n * 5 // 6)):
        labels = rng.integers(0, n_classes, rows)
        np.save(folder / f"{side}_labels.npy", labels)
        logits = np.lib.format.open_memmap(folder / f"{side}_logits.npy", "w+", np.float32, (rows, n_classes))
        for start in range(0, rows, 10_000):
            block = slice(start, min(start + 10_000, rows))
            drawn = rng.standard_normal((block.stop - block.start, n_classes), dtype=np.float32)
            drawn[np.arange(len(drawn)), labels[block]] += 3 + 0.3 * (side == "member")
            logits[block] = drawn
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
        checked = References(phi, trains)
        lira(target, checked)
        rmia(target, checked)

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
        paths = [Path(entry.fs_path) for stage in stages for entry in (*stage.deps, *stage.outs)]
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
