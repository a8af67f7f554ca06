"""Whether an edit that changes a result moves its key: edits as text, in a copy of a small finished study.

For each edit (benchmarks/key_edits.yaml) the jobs that it concerns are done anew by the functions of the
stages, in a process that has the code of the copy alone. "moved": the store has nothing under the key of a
job; "changed": what is computed differs from what the unedited code computes. What changes and does not move
would be recalled stale, and the benchmark fails. `python -m benchmarks.key_edits` prints one line per edit
and writes benchmarks/key_edits.json.
"""

from __future__ import annotations

import ast
import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from key_jobs import CANARIES, ORDINARY, PRIVATE, in_process, make_study, measured
from sandbox import Sandbox

RECORD = Path(__file__).with_suffix(".json")
EDITS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
LIBRARY: dict[str, dict[str, Any]] = {f"{edit['path']}: {edit['what']}": edit for edit in EDITS["library"]}
NETS: dict[str, dict[str, str]] = EDITS["nets"]
ALL = [*((kind, ORDINARY) for kind in ("train", "score", "reference", "attack")), ("train", PRIVATE),
       ("train", CANARIES)]  # fmt: skip
MODEL = """import keras
def model(shape, n_classes, scale):
    layers = [keras.Input(shape), keras.layers.Rescaling(scale), keras.layers.Flatten()]
    return keras.Sequential([*layers, keras.layers.Dense(n_classes)])
"""
END = """
def net(shape, n_classes):
    from nets.ways.base import model
    return model(shape, n_classes, float(scale()))
"""
Row = dict[str, Any]


class _Docstrings(ast.NodeTransformer):
    """Another docstring for every module, class and function, whether it had one or not."""

    def visit(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            node.body.insert(0, ast.Expr(ast.Constant("Another one.")))
        return node


def _with_docstrings(text: str) -> str:
    return ast.unparse(ast.fix_missing_locations(_Docstrings().visit(ast.parse(text))))


NOTHING = {
    "a comment in every module": lambda text: f"{text}# a comment\n",
    "the format of every module": lambda text: ast.unparse(ast.parse(text)),
    "another docstring everywhere": _with_docstrings,
}
"""What must move no key, done to the text of every module of the library."""


def work_of(edit: dict[str, Any]) -> list[tuple[str, str]]:
    """The jobs whose results an edit of the library changes: kind and variant."""
    return [tuple(job.split()) for job in edit["work"]]


@contextmanager
def restored(paths: Iterable[Path]) -> Iterator[None]:
    """Files are as before after the block."""
    before = {path: path.read_bytes() for path in paths}
    try:
        yield
    finally:
        for path, content in before.items():
            path.write_bytes(content)


def tried_nothing(study: Sandbox, what: str) -> Row:
    """What an edit of no consequence moves."""
    paths = sorted((study.root / "privacy_report").rglob("*.py"))
    with restored(paths):
        for path in paths:
            path.write_text(NOTHING[what](path.read_text()))
        moved, _ = in_process(measured, study.root, ALL, False)
    return {"edit": what, "moved": len(moved), "changed": 0, "stale": 0}


def unedited(study: Sandbox, edits: Iterable[str]) -> dict[str, str]:
    """What the unedited code computes, by job: the same that is in the store."""
    work = sorted({pair for name in edits for pair in work_of(LIBRARY[name])})
    moved, computed = in_process(measured, study.root, work, True)
    assert not moved, moved
    return computed


def tried(study: Sandbox, name: str, before: dict[str, str]) -> Row:
    """What an edit of the library moves and changes; before: see `unedited`."""
    edit = LIBRARY[name]
    path = f"privacy_report/{edit['path']}"
    with restored([study.root / path]):
        study.edit(path, edit["old"], edit["new"])
        moved, after = in_process(measured, study.root, work_of(edit), True)
    return _row(name, before, moved, after)


def prepare_ways(study: Sandbox, ways: Iterable[str]) -> None:
    """Write your own models as they are before their edits, each with a variant of its own."""
    params = yaml.safe_load((study.root / "params.yaml").read_text())
    files = {"nets/ways/__init__.py": "", "nets/ways/base.py": MODEL}
    for way in ways:
        files |= _files(way, 0)
        model = {"path": f"nets.ways.{_stem(way)}.net", "settings": {}}
        params["variants"][_stem(way)] = params["variants"][ORDINARY] | {"model": model, "batch_size": 500}
        canaries = study.root / "data/canaries"
        shutil.copy(canaries / f"{ORDINARY}.npz", canaries / f"{_stem(way)}.npz")
    for path, text in files.items():
        (study.root / path).parent.mkdir(parents=True, exist_ok=True)
        (study.root / path).write_text(text)
    (study.root / "params.yaml").write_text(yaml.safe_dump(params))


def tried_way(study: Sandbox, way: str) -> Row:
    """What the edit of your own model moves and changes."""
    work = [("train", _stem(way))]
    _, before = in_process(measured, study.root, work, True, _environment(way, 0), True)
    edited = {study.root / path: text for path, text in _files(way, 1).items()}
    with restored(edited):
        for path, text in edited.items():
            path.write_text(text)
        moved, after = in_process(measured, study.root, work, True, _environment(way, 1))
    return _row(f"nets/: {way}", before, moved, after)


def _files(way: str, side: int) -> dict[str, str]:
    """Path -> text of a way's files, before or after the edit."""
    files = {}
    for name, text in NETS[way].items():
        if name == "net":
            whole = _sides(text)[side]
            files[f"nets/ways/{_stem(way)}.py"] = whole if "def net(" in whole else whole + END
        elif not name.startswith("$"):
            suffix = "" if "." in name.rpartition("/")[2] else ".py"
            files[f"nets/ways/{name}{suffix}"] = _sides(text)[side]
    return files


def _environment(way: str, side: int) -> dict[str, str]:
    variables = {name[1:]: _sides(text)[side] for name, text in NETS[way].items() if name.startswith("$")}
    return {name: value for name, value in variables.items() if value}


def _stem(way: str) -> str:
    return "way_" + "".join(letter if letter.isalnum() else "_" for letter in way.lower())


def _sides(text: str) -> list[str]:
    """The text before and after its edit «old|new»; twice the same where it has none."""
    before, mark, rest = text.partition("«")
    edit, _, after = rest.partition("»")
    return [before + side + after for side in edit.split("|")] if mark else [text, text]


def _row(edit: str, before: dict[str, str], moved: set[str], after: dict[str, str]) -> Row:
    """How many jobs' keys moved, how many results changed, and how many of these would be recalled stale."""
    changed = {job for job, digest in after.items() if before.get(job) != digest}
    return {"edit": edit, "moved": len(moved), "changed": len(changed), "stale": len(changed - moved)}


def require_sound(rows: Iterable[Row]) -> None:
    """SystemExit where an edit is recalled stale or changes nothing, or where one of NOTHING moves a key."""
    for row in rows:
        sound = not row["moved"] if row["edit"] in NOTHING else row["changed"] and not row["stale"]
        if not sound:
            sys.exit("{edit}: {moved} keys moved, {changed} results changed, {stale} stale".format(**row))


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        study = make_study(Path(home, "study"))
        rows = [tried_nothing(study, what) for what in NOTHING]
        before = unedited(study, LIBRARY)
        for name in LIBRARY:
            rows.append(tried(study, name, before))
            print(*rows[-1].values(), sep=" | ", flush=True)
        prepare_ways(study, NETS)
        for way in NETS:
            rows.append(tried_way(study, way))
            print(*rows[-1].values(), sep=" | ", flush=True)
    RECORD.write_text(json.dumps(rows, indent=1) + "\n")
    require_sound(rows)


if __name__ == "__main__":
    main()
