"""Whether an edit that changes a result moves its key: edits as text, in a copy of a small finished study.

For each edit the jobs that it concerns are done anew by the stages' own functions, in a process that has the
copy's code alone. "moved": the store has no entry under the job's key; "changed": what is computed differs
from what the unedited code computes. What changes and does not move would be recalled stale: the benchmark
fails. `python -m benchmarks.key_edits` prints a line an edit and writes benchmarks/key_edits.json.
"""

from __future__ import annotations

import ast
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from key_jobs import CANARIES, ORDINARY, PRIVATE, in_process, make_study, measured
from sandbox import Sandbox

from benchmarks.own_edits import BASE, END, WAYS, file_of, net_of

RECORD = Path(__file__).with_suffix(".json")
Work = list[tuple[str, str]]
TRAIN, SCORE, REFERENCE, ATTACK = ((kind, ORDINARY) for kind in ("train", "score", "reference", "attack"))
DP, COINS, SCORED_COINS = ("train", PRIVATE), ("train", CANARIES), ("score", CANARIES)
ALL: Work = [TRAIN, DP, COINS, SCORE, REFERENCE, ATTACK]


@dataclass(frozen=True)
class Edit:
    """In `path`, below privacy_report/, `old` becomes `new`; work: the jobs whose results it changes."""

    what: str
    path: str
    old: str
    new: str
    work: tuple[tuple[str, str], ...]


def _edit(what: str, path: str, old: str, new: str, *work: tuple[str, str]) -> Edit:
    return Edit(what, path, old, new, work)


LIBRARY = (
    _edit("members and non-members are swapped as they are read", "datasets/prepared.py",
          "        return Prepared(**arrays,",
          "        arrays |= {'member': arrays['nonmember'], 'nonmember': arrays['member']}\n"
          "        return Prepared(**arrays,", TRAIN, SCORE, REFERENCE),
    _edit("the labels of canaries, in another order", "datasets/canaries.py",
          "= canaries.labels\n", "= canaries.labels[::-1]\n", COINS),
    _edit("the coins of canaries, turned", "datasets/canaries.py",
          "self.canary[~self.is_member])", "self.canary[self.is_member])", COINS),
    _edit("who is scored: canaries, too", "datasets/canaries.py",
          "return replace(self.everyone, member=member[~np.isin(member, self.canary)])",
          "return self.everyone", SCORED_COINS),
    _edit("references train on the others", "training/reference.py",
          "data.train[trains]", "data.train[~trains]", REFERENCE),
    _edit("confidences of references, negative", "training/reference.py",
          "return phi.astype(np.float32)", "return -phi.astype(np.float32)", REFERENCE),
    _edit("examples of references, in another order", "training/data.py",
          "[found.member, found.nonmember]", "[found.nonmember, found.member]", REFERENCE),
    _edit("a variant trains on its non-members", "training/data.py",
          "found.labels, found.member, found.nonmember", "found.labels, found.nonmember, found.member", TRAIN),
    _edit("the number of the epoch", "training/target.py", ".run(number)", ".run(number + 1)", TRAIN),
    _edit("the sides of a score file", "training/scoring.py",
          "member_logits=self._predict(found.images, found.member)",
          "member_logits=self._predict(found.images, found.member[::-1])", SCORE),
    _edit("weights are put in and halved", "training/state.py",
          "variable.assign(saved)\n\n\ndef load", "variable.assign(saved / 2)\n\n\ndef load", TRAIN),
    _edit("the scale of images", "training/backend.py", "scaled / 255.0", "scaled / 128.0",
          TRAIN, DP, SCORE, REFERENCE),
    _edit("the order of batches", "training/sampling.py", "epoch).permutation(n)", "epoch).permutation(n)[::-1]",
          TRAIN, REFERENCE),
    _edit("the loss of a batch", "training/epochs.py", "tf.reduce_mean(losses)", "tf.reduce_sum(losses)", TRAIN),
    _edit("the learning rate", "training/optimizers.py",
          "    rate = config.learning_rate\n", "    rate = 2 * config.learning_rate\n", TRAIN, DP),
    _edit("the settings of what a user chose", "pipeline/component.py",
          "settings = dict(component.settings)", "settings = dict(component.settings) | {'activation': 'elu'}",
          TRAIN),
    _edit("the small CNN's kernel", "training/models.py", "KERNEL, POOL = 3, 2", "KERNEL, POOL = 2, 2", TRAIN),
    _edit("the seed of the first weights", "training/trainer.py", 'f"weights {seed}', 'f"weight {seed}', TRAIN, DP),
    _edit("the noise of private training", "training/private_gradient.py", "[0, index]", "[0, 1 + index]", DP),
    _edit("epsilon", "training/accounting.py", "    return Epsilon(\n", "    return Epsilon(1.0, 1.0) or Epsilon(\n", DP),
    _edit("the batches of what is left out", "training/absent.py", "drawn & ~self.absent[rows]", "drawn", COINS),
    _edit("how score files are read", "pipeline/outputs.py",
          "found: dict[str, np.ndarray | Logarithms] = dict(arrays)",
          "found: dict[str, np.ndarray | Logarithms] = dict(arrays)\n"
          "    arrays = {name: value[::-1] if name.endswith('labels') else value for name, value in arrays.items()}\n"
          "    found = dict(arrays)", ATTACK),
    _edit("how arrays are mapped", "pipeline/mapped.py",
          'return np.memmap(path, dtype, "r", offset + start, shape, "F" if fortran else "C")',
          'return np.array(np.memmap(path, dtype, "r", offset + start, shape, "F" if fortran else "C"))[::-1]', ATTACK),
    _edit("early checkpoints, negative", "attack/evidence.py", ".phi.astype(np.float32) for", ".phi.astype(np.float32) * -1 for",
          ATTACK),
    _edit("who trained on whom", "attack/evidence.py", "return np.load(self.trains, allow_pickle=False)",
          "return ~np.load(self.trains, allow_pickle=False)", ATTACK),
    _edit("who selects a threshold", "attack/findings.py", "[plan.seed, stream]", "[plan.seed, stream, 1]", ATTACK),
    _edit("the examples of a job", "attack/job.py", "outputs, *more = used\n", "outputs, *more = used\n    plan = replace(plan, seed=plan.seed + 1)\n",
          ATTACK),
    _edit("one attack's score", "attack/signals.py", "return -examples.loss", "return examples.loss", ATTACK),
    _edit("the classes of slices", "attack/slices.py", "examples.labels == label", "examples.labels >= label", ATTACK),
    _edit("a measure", "attack/roc.py", "twice / (2 *", "twice / (3 *", ATTACK),
    _edit("logit-scaled confidence", "attack/confidence.py", "    return ", "    return -1 * ", REFERENCE),
    _edit("the membership probability", "attack/exposure.py", "member / (member + nonmember)", "nonmember / (member + nonmember)", ATTACK),
    _edit("how exposed members are", "attack/example_exposure.py", '"exposure": exposed[', '"exposure": 2 * exposed[', ATTACK),
    _edit("what the recipe leaks", "attack/reference_facts.py", "files.at(0), files.at(1)", "files.at(1), files.at(0)", ATTACK),
    _edit("handing over: the epoch", "training/plan.py", "target.epoch(job, state, epoch)", "target.epoch(job, state, epoch + 1)", TRAIN),
    _edit("handing over: the weights", "training/plan.py", "canaries, arrays, name)", "canaries, {k: v / 2 if k.startswith('w') else v for k, v in arrays.items()}, name)", SCORE),
    _edit("handing over: on whom a reference trains", "training/references.py", "Reference(job, members,", "Reference(job, ~members,", REFERENCE),
    _edit("handing over: on whom a worker trains", "training/worker.py", "interval(reference.job, reference.trains,", "interval(reference.job, ~reference.trains,", REFERENCE),
    _edit("handing over: the files of an attack", "attack/variant.py", "partial(job.find, plan, files.used(plan.needs))",
          "partial(job.find, plan, files.used(plan.needs)[:1])", ATTACK),
)  # fmt: skip
"""At least one line of each module that works on a result, and of those that hand over."""


class _Texts(ast.NodeTransformer):
    """Another docstring for every module, class and function, whether it had one or not."""

    def visit(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            node.body.insert(0, ast.Expr(ast.Constant("Another one.")))
            if isinstance(node, ast.Module):  # what must come first, does
                node.body.sort(key=lambda one: getattr(one, "module", "") != "__future__")
        return node


NOTHING = {
    "a comment in every module": lambda text: f"{text}# a comment\n",
    "the format of every module": lambda text: ast.unparse(ast.parse(text)),
    "every docstring": lambda text: ast.unparse(ast.fix_missing_locations(_Texts().visit(ast.parse(text)))),
}
"""What must move no key, done to the text of every module of the library."""


@contextmanager
def restored(paths: list[Path]) -> Iterator[None]:
    """Files are as before after the block."""
    before = {path: path.read_bytes() for path in paths}
    try:
        yield
    finally:
        for path, content in before.items():
            path.write_bytes(content)


def sides(text: str) -> list[str]:
    """The text before and after its edit "«old|new»"; twice the same where it has none."""
    before, mark, rest = text.partition("«")
    if not mark:
        return [text, text]
    edit, _, after = rest.partition("»")
    return [before + side + after for side in edit.split("|")]


def prepare_ways(study: Sandbox) -> None:
    """Write all ways as they are before their edits, each with a variant of its own."""
    params = yaml.safe_load((study.root / "params.yaml").read_text())
    _write(study, "nets/ways/__init__.py", "")
    _write(study, "nets/ways/base.py", BASE)
    for way, files in WAYS.items():
        for name, text in files.items():
            if not name.startswith("$"):
                _write(study, file_of(way, name), _whole(name, sides(text)[0]))
        model = {"path": net_of(way), "settings": {}}
        params["variants"][_variant(way)] = params["variants"][ORDINARY] | {"model": model, "batch_size": 500}
        shutil.copy(
            study.root / f"data/canaries/{ORDINARY}.npz", study.root / f"data/canaries/{_variant(way)}.npz"
        )
    (study.root / "params.yaml").write_text(yaml.safe_dump(params))


def _whole(name: str, text: str) -> str:
    return text + (END if name == "" and "def net(" not in text else "")


def _write(study: Sandbox, path: str, text: str) -> None:
    (study.root / path).parent.mkdir(parents=True, exist_ok=True)
    (study.root / path).write_text(text)


def _variant(way: str) -> str:
    return Path(file_of(way, "")).stem


def environment_of(way: str, side: int) -> dict[str, str]:
    """The variables that a way reads, before or after its edit."""
    found = {name[1:]: sides(text)[side] for name, text in WAYS[way].items() if name.startswith("$")}
    return {name: value for name, value in found.items() if value}


def tried_way(study: Sandbox, way: str) -> dict[str, Any]:
    """What the edit of a way moves and changes."""
    work = [("train", _variant(way))]
    _, before = in_process(measured, study.root, work, True, environment_of(way, 0), True)
    paths = {
        study.root / file_of(way, name): (name, text) for name, text in WAYS[way].items() if name[:1] != "$"
    }
    with restored(list(paths)):
        for path, (name, text) in paths.items():
            path.write_text(_whole(name, sides(text)[1]))
        moved, after = in_process(measured, study.root, work, True, environment_of(way, 1))
    return row(f"nets/: {way}", before, moved, after)


def tried(study: Sandbox, edit: Edit, before: dict[str, str]) -> dict[str, Any]:
    """What an edit of the library moves and changes; before: what the unedited code computes, by job."""
    path = study.root / "privacy_report" / edit.path
    with restored([path]):
        study.edit(f"privacy_report/{edit.path}", edit.old, edit.new)
        moved, after = in_process(measured, study.root, list(edit.work), True)
    return row(f"{edit.path}: {edit.what}", before, moved, after)


def tried_nothing(study: Sandbox, what: str) -> dict[str, Any]:
    """What an edit of no consequence moves."""
    paths = sorted((study.root / "privacy_report").rglob("*.py"))
    with restored(paths):
        for path in paths:
            path.write_text(NOTHING[what](path.read_text()))
        moved, _ = in_process(measured, study.root, ALL, False)
    return {"edit": what, "moved": len(moved), "changed": 0, "stale": 0}


def row(what: str, before: dict[str, str], moved: set[str], after: dict[str, str]) -> dict[str, Any]:
    """How many jobs' keys moved, how many results changed, and how many of these would be recalled stale."""
    changed = {job for job, digest in after.items() if before.get(job) != digest}
    return {"edit": what, "moved": len(moved), "changed": len(changed), "stale": len(changed - moved)}


def unedited(study: Sandbox, work: Work) -> dict[str, str]:
    """What the unedited code computes, by job; the store must have all of it."""
    moved, computed = in_process(measured, study.root, work, True)
    assert not moved, moved
    return computed


def require_sound(rows: list[dict[str, Any]]) -> None:
    """SystemExit where an edit is recalled stale, changes nothing, or moves what it cannot change."""
    for one in rows:
        if (
            one["stale"]
            or bool(one["changed"]) == (one["edit"] in NOTHING)
            or (one["edit"] in NOTHING and one["moved"])
        ):
            sys.exit(
                f"{one['edit']}: {one['moved']} keys moved, {one['changed']} results changed, {one['stale']} stale"
            )


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        study = make_study(Path(home, "study"))
        rows = [tried_nothing(study, what) for what in NOTHING]
        work = sorted({pair for edit in LIBRARY for pair in edit.work})
        before = unedited(study, work)
        for edit in LIBRARY:
            rows.append(tried(study, edit, before))
            print(rows[-1], flush=True)
        prepare_ways(study)
        for way in WAYS:
            rows.append(tried_way(study, way))
            print(rows[-1], flush=True)
    RECORD.write_text(json.dumps(rows, indent=1) + "\n")
    require_sound(rows)


if __name__ == "__main__":
    main()
