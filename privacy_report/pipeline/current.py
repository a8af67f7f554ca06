"""Which stages have nothing left to do, by dvc.lock and the files that are here.

`dvc status` says so, too, but it holds DVC's lock meanwhile, and a `dvc repro` that wants the lock back for
longer than three seconds fails. This only reads. It takes commands and dependencies from dvc.lock, so it
does not see an edit of dvc.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from privacy_report.pipeline.recorded import LOADER, ignored, md5, stages_in

Section = Mapping[str, Any]
EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")


class Current:
    """What dvc.lock and params.yaml say at one moment, held against the files.

    A part of an output, such as a variant's file of those that stage fit writes for all, counts as it is on
    disk. So a variant is current while fit still trains another.
    """

    def __init__(self) -> None:
        self._recorded = stages_in("dvc.lock")
        self._answers: dict[str, bool] = {}
        self._md5s: dict[str, str] = {}

    def is_current(self, stage: str) -> bool:
        """Whether a stage's outputs are here and whole, and made of what is here now."""
        entry = self._recorded.get(stage, {})
        outs = entry.get("outs", ())
        return bool(outs) and self._is_up_to_date(stage) and all(self._is_as_recorded(out) for out in outs)

    def digest(self, stage: str) -> tuple[str, ...]:
        """The MD5s of a stage's outputs, as they are recorded."""
        return tuple(out["md5"] for out in self._recorded[stage]["outs"])

    def _is_up_to_date(self, stage: str) -> bool:
        """Whether a stage has run on the parameters and inputs that are here, and so have those before it."""
        if stage not in self._answers:
            entry = self._recorded.get(stage, {})
            self._answers[stage] = (
                bool(entry)
                and self._params_match(entry.get("params", {}).get("params.yaml", {}))
                and all(self._dep_matches(dep) for dep in entry.get("deps", ()))
            )
        return self._answers[stage]

    def _params_match(self, recorded: Section) -> bool:
        return all(_read(_at(self._params, name)) == _read(value) for name, value in recorded.items())

    def _dep_matches(self, dep: Section) -> bool:
        """An output counts as it is recorded, and if its stage is up to date; all else as it is on disk."""
        if dep["path"] not in self._producers:
            return self._is_as_recorded(dep)
        stage, recorded = self._producers[dep["path"]]
        if dep.get("md5") != recorded or not Path(dep["path"]).exists():
            return False
        return self._is_up_to_date(stage)

    def _is_as_recorded(self, file: Section) -> bool:
        path = file["path"]
        if path not in self._md5s:
            self._md5s[path] = md5(Path(path), self._ignored) if Path(path).exists() else ""
        return bool(self._md5s[path] == file.get("md5"))

    @cached_property
    def _params(self) -> Section:
        params: Section = yaml.load(Path("params.yaml").read_bytes(), LOADER) or {}
        return params

    @cached_property
    def _ignored(self) -> list[str]:
        return ignored()

    @cached_property
    def _producers(self) -> dict[str, tuple[str, str]]:
        """Output -> the stage that writes it, and its MD5 as recorded."""
        return {
            out["path"]: (stage, out.get("md5", ""))
            for stage, entry in self._recorded.items()
            for out in entry.get("outs", ())
        }


def _read(value: Any) -> Any:
    """A value with its numbers as DVC's YAML 1.2 reads them: to PyYAML, which has 1.1, 1e-05 is a string."""
    if isinstance(value, dict):
        return {key: _read(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_read(inner) for inner in value]
    return float(value) if isinstance(value, str) and EXPONENT.fullmatch(value) else value


def _at(section: Any, name: str) -> Any:
    """What parameters say under a dotted name; None where they have no such name."""
    for key in name.split("."):
        section = section.get(key) if isinstance(section, dict) else None
    return section
