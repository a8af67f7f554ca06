"""What an edit costs: the stages that run after it, what of their work is computed, and the seconds it takes.

The smallest study on digits (`tests/sandbox.py`: three variants, one private, one with reference models) is
run once. Each edit is made in a copy of it, store included, and `dvc repro` follows. What was computed is
what is new in the store. `python -m benchmarks.edits` prints one line per edit and writes
benchmarks/edits.json.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from sandbox import Sandbox, make_sandbox

RECORD = Path(__file__).with_suffix(".json")
FIRST = "the first run"
KINDS = {"epoch": "epochs", "score": "scores", "reference": "reference intervals", "attack": "attacks"}
"""A folder of the store -> what its entries are called."""
STUDY, MODELS = "conf/experiment/smallest.yaml", "privacy_report/training/models.py"
END = ""


@dataclass(frozen=True)
class Edit:
    """A change in one file: `old` becomes `new`; END is the end of the file, and a folder all of its code."""

    what: str
    path: str
    old: str
    new: str

    def make(self, sandbox: Sandbox) -> None:
        at = sandbox.root / self.path
        paths = [str(path.relative_to(sandbox.root)) for path in sorted(at.rglob("*.py"))]
        for path in paths or [self.path]:
            if self.old == END:
                sandbox.append(path, self.new)
            else:
                sandbox.edit(path, self.old, self.new)


FUNCTION = "\n\ndef another(shape):\n    return 1"
STATEMENT = "\nimport os\nos.environ['X'] = '1'"
NOTHING = (
    Edit("nothing at all", STUDY, "smallest run", "smallest run"),
    Edit("a comment in every file of the library", "privacy_report", END, "# a comment"),
    Edit("a comment in every stage", "stages", END, "# a comment"),
    Edit("a docstring", MODELS, "The codelab's CNN: ", "A CNN: "),
    Edit("the format", MODELS, "KERNEL, POOL = 3, 2", "KERNEL, POOL = (\n    3,\n    2,\n)"),
    Edit("`label`", STUDY, "cnn3: {", "cnn3: {label: Other, "),
    Edit("a statement more in `pipeline/command.py`", "privacy_report/pipeline/command.py", END, STATEMENT),
    Edit("a statement more in `report/page.py`", "privacy_report/report/page.py", END, STATEMENT),
    Edit("a statement more in `gate/rules.py`", "privacy_report/gate/rules.py", END, STATEMENT),
    Edit("a line in `conf/groups/.gitkeep`", "conf/groups/.gitkeep", END, "# groups of examples"),
    Edit("an estimator that no attack uses", "conf/attack/default.yaml", "estimators: #",
         "estimators:\n  mine: {path: sklearn.naive_bayes.GaussianNB} #"),
    Edit("a limit of the gate", "conf/config.yaml", END, "gate: {max_advantage: 0.123}"),
    Edit("`dpi` of the report", "conf/config.yaml", END, "report: {dpi: 77}"),
)  # fmt: skip
"""What must compute nothing."""
SOMETHING = (
    Edit("`epochs_per_report` of `cnn3` from 1 to 2", STUDY, "cnn3: {epochs: 2, epochs_per_report: 1",
         "cnn3: {epochs: 2, epochs_per_report: 2"),
    Edit("`epochs` of `cnn3` from 2 to 3", STUDY, "cnn3: {epochs: 2", "cnn3: {epochs: 3"),
    Edit("`learning_rate` of `cnn3`", STUDY, "cnn3: {", "cnn3: {learning_rate: 0.002, "),
    Edit("one attack more", "conf/attack/default.yaml", "[threshold, ", "[threshold, knn, "),
    Edit("the seed of the attacks", "conf/attack/default.yaml", "\nseed: 0", "\nseed: 1"),
    Edit("the number of references from 4 to 6", STUDY, "{cnn2: 4", "{cnn2: 6"),
    Edit("the split of the data", "conf/dataset/digits.yaml", "\nseed: 0", "\nseed: 1"),
    Edit("a new function in `errors.py`", "privacy_report/errors.py", END, FUNCTION),
    Edit("a new function in `training/models.py`", MODELS, END, FUNCTION),
    Edit("a new function in `attack/measures.py`", "privacy_report/attack/measures.py", END, FUNCTION),
    Edit("one attack's score, by a factor", "privacy_report/attack/signals.py", "return -np.logaddexp(",
         "return -2 * np.logaddexp("),
    Edit("a measure: how AUC is summed", "privacy_report/attack/roc.py", "twice / (2 *", "twice / 2 / (1 *"),
    Edit("the noise of private training", "privacy_report/training/private_gradient.py", "[0, index]",
         "[0, 1 + index]"),
    Edit("the order of batches", "privacy_report/training/sampling.py", "epoch).permutation(n)",
         "epoch).permutation(n)[::-1]"),
    Edit("the small CNN's kernel from 3 to 2", MODELS, "KERNEL, POOL = 3, 2", "KERNEL, POOL = 2, 2"),
)  # fmt: skip
"""What must compute what depends on it, and that alone."""


def stored(sandbox: Sandbox) -> set[tuple[str, str]]:
    """Kind and name of each entry of a sandbox's store."""
    return {(path.parent.name, path.name) for path in (sandbox.root / ".store").glob("*/*.npz")}


def measure(what: str, sandbox: Sandbox) -> dict[str, Any]:
    """What `dvc repro` makes of a sandbox after the edit `what`."""
    before = stored(sandbox)
    started = time.monotonic()
    ran = sandbox.repro()
    took = time.monotonic() - started
    new = Counter(kind for kind, _ in stored(sandbox) - before)
    return {
        "edit": what,
        "stages": dict(Counter(name.split("@")[0] for name in ran)),
        "computed": {KINDS[kind]: new[kind] for kind in KINDS if new[kind]},
        "seconds": took,
    }


def words(row: dict[str, Any]) -> list[str]:
    """An edit's row in docs/development.md."""
    stages = ", ".join(name if n == 1 else f"{name} ({n})" for name, n in row["stages"].items())
    computed = ", ".join(
        f"{n} {kind if n > 1 else kind.removesuffix('s')}" for kind, n in row["computed"].items()
    )
    return [row["edit"], stages or "none", computed or "nothing", f"{row['seconds']:.0f}"]


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        finished = make_sandbox(Path(home, "finished"))
        rows = [measure(FIRST, finished)]
        for edit in (*NOTHING, *SOMETHING):
            with tempfile.TemporaryDirectory() as folder:
                sandbox = finished.copy(Path(folder, "repository"))
                edit.make(sandbox)
                rows.append(measure(edit.what, sandbox))
            print(" | ".join(words(rows[-1])), flush=True)
            if edit in NOTHING and rows[-1]["computed"]:
                sys.exit(f"{edit.what}: computed {rows[-1]['computed']}")
    RECORD.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
