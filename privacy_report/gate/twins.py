"""Audit twins: a variant trained once more with canaries. A twin is never shipped; its findings count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from privacy_report.pipeline.contract import CANARIES, REPORT, SELECT
from privacy_report.pipeline.files import read_json
from privacy_report.pipeline.tables import Row, read_rows

AUDIT = "audit"
"""The verdict on a twin, whatever it keeps: it is not to be shipped."""
OF_ITS_OWN = ("label", "canaries")
"""All that a twin may have of its own."""
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


def in_both_halves(rows: Sequence[Row], halves: Sequence[Row]) -> Iterator[Row]:
    """Canaries' rows for each half of the checkpoints that `halves` has.

    They are too few to be cut in two. Nor need they be: they belong to another model than the one that is
    chosen and reported.
    """
    epochs = {row["epoch"] for row in halves}
    for half in (SELECT, REPORT):
        yield from (row | {"half": half} for row in rows if row["epoch"] in epochs)


def not_for_shipping(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """A twin's verdict: what stands against its checkpoints, and no recommendation."""
    kept = ("policy", "public_seed", "reference_models", "checkpoints", "passing", "open", "failing", "scope")
    return {"verdict": AUDIT, **{key: verdict[key] for key in kept}}


def audited_epsilon(one_run: Mapping[str, Any] | None, epoch: int) -> float | None:
    """The bound that a one-run audit gives at a checkpoint: it is about no other than its own."""
    return one_run[ONE_RUN] if one_run is not None and one_run["epoch"] == epoch else None


def read_one_run(variant: str, sections: Sections, root: Path = Path()) -> dict[str, Any] | None:
    """The one-run audit of a variant or its twin (data/attack/<twin>/one_run.json), None without one."""
    twin = twin_of(variant, sections)
    path = root / f"data/attack/{twin}/one_run.json"
    return read_json(path) if twin is not None and path.exists() else None
