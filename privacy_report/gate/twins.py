"""Audit twins: a variant trained once more with canaries. A twin is never shipped; its findings count."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from privacy_report.pipeline.contract import CANARIES
from privacy_report.pipeline.files import read_json
from privacy_report.pipeline.tables import Row, read_rows

AUDIT = "audit"
"""The verdict on a twin, whatever it keeps: it is not to be shipped."""
OF_ITS_OWN = ("label", "canaries")
"""All that a twin may have of its own."""
ONE_RUN_AUDIT = "one-run audit"
"""What detects a leak where its bound of epsilon is above 0, among attacks."""
ONE_RUN = "epsilon_one_run"

Sections = Mapping[str, Mapping[str, Any]]
"""Variant name -> its section of params.yaml."""


def is_twin(variant: str, sections: Sections) -> bool:
    """Whether a variant was trained with canaries."""
    return bool(sections[variant].get("canaries"))


def twin_of(variant: str, sections: Sections) -> str | None:
    """The audit twin of a variant: the first with canaries and else the same section; a twin is its own."""
    if is_twin(variant, sections):
        return variant
    wanted = _common(sections[variant])
    twins = (name for name in sections if is_twin(name, sections) and _common(sections[name]) == wanted)
    return next(twins, None)


def _common(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key not in OF_ITS_OWN}


def canary_rows(twin: str, root: Path = Path()) -> list[Row]:
    """The rows of a twin's privacy.csv on its canaries."""
    rows = read_rows(root / f"data/attack/{twin}/privacy.csv")
    return [row for row in rows if row["slice"] == CANARIES]


def canaries_until(epoch: int, rows: Sequence[Row], epochs: Collection[int]) -> list[Row]:
    """Canaries' rows of an epoch and of all before it among `epochs`, which are judged; see `rules`.

    They are the same in both halves: too few to be cut in two, and of another model than the one that is
    chosen and reported.
    """
    return [row for row in rows if row["epoch"] <= epoch and row["epoch"] in epochs]


def audited_epsilon(one_run: Mapping[str, Any] | None, epoch: int) -> float | None:
    """The bound that a one-run audit gives at a checkpoint: it is about no other than its own."""
    return one_run[ONE_RUN] if one_run is not None and one_run["epoch"] == epoch else None


def read_one_run(variant: str, sections: Sections, root: Path = Path()) -> dict[str, Any] | None:
    """The one-run audit of a variant or its twin (data/attack/<twin>/one_run.json), None without one."""
    twin = twin_of(variant, sections)
    path = root / f"data/attack/{twin}/one_run.json"
    return read_json(path) if twin is not None and path.exists() else None
