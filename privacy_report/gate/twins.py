"""Audit twins: a variant trained once more with canaries. A twin is never shipped; its findings count."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from privacy_report.errors import UserError
from privacy_report.pipeline.contract import CANARIES
from privacy_report.pipeline.files import read_json
from privacy_report.pipeline.tables import Row, read_rows

AUDIT = "audit"
"""The verdict on a twin, whatever it keeps: it is not to be shipped."""
OF_ITS_OWN = ("label", "canaries", "remedy_of", "repeats")
"""All that a twin may have of its own."""
ONE_RUN_AUDIT = "one-run audit"
"""What detects a leak where its bound of epsilon is above 0, among attacks."""
ONE_RUN = "epsilon_one_run"
EXAMPLES, GRADIENTS = "examples", "gradients"
"""What a twin's canaries are: told by the outputs of the last checkpoint (a black box), or by every step's
update (a white box)."""

Sections = Mapping[str, Mapping[str, Any]]
"""Variant name -> its section of params.yaml."""


def is_twin(variant: str, sections: Sections) -> bool:
    """Whether a variant was trained with canaries."""
    return bool(sections[variant].get("canaries"))


def canaries_of(twin: str, sections: Sections) -> str:
    """What the canaries of a twin are: EXAMPLES or GRADIENTS."""
    return GRADIENTS if sections[twin]["canaries"].get("kind") == "gradient" else EXAMPLES


def twin_of(variant: str, sections: Sections, canaries: str = EXAMPLES) -> str | None:
    """The audit twin of a variant with such canaries: the first with else the same section.

    A twin is its own, and no other is.
    """
    if is_twin(variant, sections):
        return variant if canaries_of(variant, sections) == canaries else None
    wanted = _common(sections[variant])
    twins = (name for name in sections if is_twin(name, sections) and _common(sections[name]) == wanted)
    return next((name for name in twins if canaries_of(name, sections) == canaries), None)


def counting_twin(variant: str, sections: Sections) -> str | None:
    """The twin whose audit is "epsilon audited": the one with gradients where there is one.

    That is fixed beforehand: the larger of two bounds would be none.
    """
    return twin_of(variant, sections, GRADIENTS) or twin_of(variant, sections)


def audited_by(variant: str, sections: Sections, variants: Collection[str]) -> str | None:
    """The variant whose findings a twin's are, among `variants`; None for what is no such twin."""
    kinds = (EXAMPLES, GRADIENTS)
    return next((name for name in variants if variant in (twin_of(name, sections, k) for k in kinds)), None)


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


def audited_epsilon(one_run: Mapping[str, Any] | None, epoch: int | None = None) -> float | None:
    """The bound of a one-run audit, if it is of the checkpoint of `epoch`; by default, of whichever it is."""
    if one_run is None or epoch not in (None, one_run["epoch"]):
        return None
    return float(one_run[ONE_RUN])


def read_one_run(twin: str | None, root: Path = Path()) -> dict[str, Any] | None:
    """The one-run audit of a twin (data/attack/<twin>/one_run.json), None without one."""
    path = root / f"data/attack/{twin}/one_run.json"
    try:
        return read_json(path) if twin is not None and path.exists() else None
    except ValueError:
        raise UserError(f"{path}: damaged; `dvc repro attack@{twin}` writes it") from None
