"""What DVC has recorded of outputs, held against the bytes that are there.

DVC trusts what its cache holds as long as it may only be read, and what it has checked out until that is
touched. An object that was edited in place and is read-only, by root or by whoever put its mode back, comes
out of `dvc checkout` as an output that `dvc status` calls up to date. So a stage looks at its inputs itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePath
from typing import Any

import yaml

from privacy_report.errors import UserError

FOLDER_SUFFIX = ".dir"
"""The end of a folder's MD5: it is that of a list of its files."""
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
BEING_WRITTEN = 5.0  # seconds for which another run may be at dvc.lock


def checked(main: Callable[[Sequence[str]], None]) -> Callable[[Sequence[str]], None]:
    """A stage's `main`, which under DVC raises UserError for an input that is not what was recorded."""

    def look_first(argv: Sequence[str]) -> None:
        if stage := os.environ.get("DVC_STAGE"):
            refuse_changed(_inputs(stage.rpartition(":")[2]))  # from a subfolder it is ../dvc.yaml:stage
        main(argv)

    return look_first


def refuse_changed(paths: Sequence[str]) -> None:
    """UserError where an output at, in or around one of `paths` has other bytes than dvc.lock says."""
    for output, stage in changed(lambda output: any(_meet(output, path) for path in paths)):
        raise UserError(
            f"{output}: is not what {stage} has written; `privacy-report verify` removes it, `dvc repro` "
            "makes it again"
        )


def changed(asked: Callable[[str], bool] = lambda output: True) -> Iterator[tuple[str, str]]:
    """(path, stage) of each output that is asked for, is there and has other bytes than dvc.lock says."""
    passed_over = ignored()
    for path, (stage, digest) in outputs().items():
        if asked(path) and os.path.exists(path) and md5(Path(path), passed_over) != digest:
            yield path, stage


def outputs() -> dict[str, tuple[str, str]]:
    """All outputs in dvc.lock, those of stages that are no more as well: path -> (stage, MD5)."""
    stages = stages_in("dvc.lock")
    try:
        return {out["path"]: (stage, out["md5"]) for stage in stages for out in stages[stage].get("outs", ())}
    except (AttributeError, KeyError, TypeError):
        raise UserError("dvc.lock: no file of DVC's with stages") from None


def damaged(cache: Path) -> Iterator[Path]:
    """The objects of DVC's cache, a folder, whose bytes are not those that they are named after.

    Names that begin with a dot are of files that DVC has not finished.
    """
    for path in sorted((cache / "files/md5").glob("??/[!.]*")):
        if path.is_file() and md5(path) != (path.parent.name + path.name).removesuffix(FOLDER_SUFFIX):
            yield path


def ignored() -> list[str]:
    """Names that DVC passes over in folders, such as what a killed run has left half-written.

    Patterns with a slash are about places that no stage writes or reads.
    """
    try:
        lines = Path(".dvcignore").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#") and "/" not in line]


def md5(path: Path, passed_over: Sequence[str] = ()) -> str:
    """The MD5 (hex) by which DVC knows a file, or a folder less what has a name like one of `passed_over`."""
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.is_file())
        places = {file: file.relative_to(path) for file in files}
        entries = [
            {"md5": md5(file), "relpath": place.as_posix()}
            for file, place in places.items()
            if not any(fnmatch(name, pattern) for name in place.parts for pattern in passed_over)
        ]
        listed = json.dumps(sorted(entries, key=lambda entry: entry["relpath"]), sort_keys=True)
        return hashlib.md5(listed.encode(), usedforsecurity=False).hexdigest() + FOLDER_SUFFIX
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _meet(path: str, other: str) -> bool:
    """Whether two paths are the same, or one is in the other."""
    a, b = PurePath(path), PurePath(other)
    return a.is_relative_to(b) or b.is_relative_to(a)


def _inputs(stage: str) -> list[str]:
    """The paths that dvc.yaml declares for a stage such as "score@cnn2"."""
    name, _, variant = stage.partition("@")
    deps = stages_in("dvc.yaml").get(name, {}).get("deps", ())
    return [dep.replace("${item.variant}", variant) for dep in deps]


def stages_in(name: str) -> dict[str, Any]:
    """The stages in one of DVC's files; none where it is not there yet."""
    until = time.monotonic() + BEING_WRITTEN
    while True:
        try:
            stages: dict[str, Any] = yaml.load(Path(name).read_bytes(), LOADER)["stages"]
            return stages
        except FileNotFoundError:
            return {}
        except (yaml.YAMLError, KeyError, TypeError):
            if time.monotonic() > until:
                raise UserError(f"{name}: no file of DVC's with stages") from None
            time.sleep(0.1)
