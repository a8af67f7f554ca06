"""What the page's views are made of: all of privacy.csv, the ROC curves on one grid, and who is who.

Everything is in the page itself, packed; `explore.js` unpacks it and draws.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import vl_convert

from privacy_report.gate.twins import is_twin, twin_of
from privacy_report.pipeline.contract import (
    CLASS,
    EARLY,
    EPSILON_JOINT,
    OUTPUTS,
    PLACEBO,
    REFERENCES,
    TEXT_COLUMNS,
    kind_of,
    sees_all,
)
from privacy_report.pipeline.tables import Row, columns_of
from privacy_report.report.differential_privacy import shown_by_canaries
from privacy_report.report.offline import latest_vega_lite
from privacy_report.report.recommendation import recommendation
from privacy_report.report.rows import LIMITED_BY
from privacy_report.report.runs import label_of, runs
from privacy_report.report.study import SPENT, Study
from privacy_report.report.style import Look
from privacy_report.report.trade_offs import FEWEST_FALSE_POSITIVES, nonmembers
from privacy_report.report.views import names_in, views

DIGITS = 5  # of each number of privacy.csv: more than its interval supports
SHOWN = 3, 4  # decimals of numbers, and of rates, whose percentages have two
RATE_DIGITS = 6  # of each rate of a curve: enough to count up to 100,000 members
PER_DECADE = 15  # false-positive rates of the slider
HOLDS = {
    OUTPUTS: "Model outputs only",
    EARLY: "Outputs and early checkpoints",
    REFERENCES: "Outputs and reference models",
    PLACEBO: "No attack: a placebo",
}
LIMITS = {rule: column for column, rule in LIMITED_BY.items()}
"""Rules whose limits are lines in the views -> the measure that they limit."""


@cache
def bundle() -> str:
    """Vega-Lite and vega-embed, as vl-convert carries them, in one script."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", latest_vega_lite(6))


def packed(value: Any) -> str:
    """A value as JSON (a string as it is), compressed, in base64; the same bytes each time."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def contents(study: Study, look: Look) -> dict[str, Any]:
    """All that `explore.js` needs, as it is put into JSON."""
    rates = grid(nonmembers(study))
    few = FEWEST_FALSE_POSITIVES / nonmembers(study)
    drawn = _variants(study, look)
    return {
        "variants": drawn,
        "attacks": [_attack(name) for name in dict.fromkeys(row["attack"] for row in study.every_row)],
        "holds": HOLDS,
        "classes": {f"{CLASS}{i}": str(name) for i, name in enumerate(study.dataset["class_names"])},
        "table": table(study.every_row, columns_of(study.root / "plots/privacy.csv")),
        "rates": rates,
        "few": few,
        "curves": curves(study, rates),
        "epsilon": _epsilon(study),
        "views": views(drawn, rates[0], few),
        "start": _start(study),
    }


def _start(study: Study) -> dict[str, Any]:
    """What is shown first: the epoch of the recommended checkpoint, or the last of all."""
    chosen = recommendation(study).variant
    last = max((max(study.epochs(name), default=0) for name in study.labels), default=0)
    return {"epoch": last if chosen is None else study.recommended(chosen)}


def _attack(name: str) -> dict[str, Any]:
    """An attack's name and kind; full: whether it sees all outputs, as those do of which one is strongest."""
    return {"name": name, "kind": kind_of(name), "full": sees_all(name)}


def _variants(study: Study, look: Look) -> list[dict[str, Any]]:
    """Who is drawn: of a variant with several seeds the middle run, under the variant's label and colour."""
    groups = runs(study)
    hidden = {name for group in groups.values() for name in group.names if name != group.of}
    variants = []
    for name in (name for name in study.labels if name not in hidden):
        group, drawn = groups.get(name), _variant(study, look, name) | {"runs": []}
        if group and group.several:
            drawn |= {"name": group.middle, "epochs": study.epochs(group.middle), "runs": list(group.names)}
            drawn |= {"recommended": study.recommended(group.middle)}
            drawn |= {"label": f"{label_of(study, group)}, drawn: {group.middle}"}
        variants.append(drawn)
    return variants


def _variant(study: Study, look: Look, name: str) -> dict[str, Any]:
    verdict = study.verdict(name)
    limits: dict[str, float] = {}
    for rule in verdict["policy"]:
        if isinstance(rule["limit"], float | int):
            if rule["rule"] in LIMITS and "slice" not in rule:
                limits[LIMITS[rule["rule"]]] = rule["limit"]
            elif rule["rule"] == "max_class_advantage":
                limits["class_advantage"] = rule["limit"]
            elif rule["rule"] == "min_val_accuracy":
                limits["val_accuracy"] = rule["limit"]
    twin = twin_of(name, study.variants)
    attacks = {row["attack"] for row in study.every_row if row["variant"] == name}
    return {
        "name": name,
        "less": not any(map(sees_all, attacks)),
        "label": names_in(study)[name],
        "color": look.color(name),
        "twin": is_twin(name, study.variants),
        "audited_by": twin if twin != name else None,
        "epochs": study.epochs(name),
        "recommended": study.recommended(name),
        "limits": limits,
    }


def table(rows: Sequence[Row], columns: Sequence[str]) -> dict[str, Any]:
    """Column -> its numbers (null where there is none), or its texts and each row's place in them."""
    packed_columns: dict[str, Any] = {}
    for name in columns:
        cells = [row[name] for row in rows]
        if name in TEXT_COLUMNS:
            places = {text: place for place, text in enumerate(dict.fromkeys(cells))}
            packed_columns[name] = {"texts": list(places), "places": [places[text] for text in cells]}
        else:
            packed_columns[name] = [shortened(cell) for cell in cells]
    return packed_columns


def shortened(value: float, digits: int = DIGITS) -> float | int | None:
    """A number with some significant digits, whole ones as int; None for NaN.

    With more digits where those would be rounded to another number than the page has to show.
    """
    if math.isnan(value):
        return None
    short = float(f"{value:.{digits}g}")
    if any(round(short, decimals) != round(value, decimals) for decimals in SHOWN):
        short = float(f"{value:.{digits + 3}g}")
    whole = value if abs(value) >= 10**digits else short
    return int(whole) if whole == int(whole) else short


def grid(n: float) -> list[float]:
    """The false-positive rates to choose from: one of `n` non-members or less, to all; even in logarithm."""
    decades = max(1, math.ceil(math.log10(n)))
    return [float(f"{10 ** (step / PER_DECADE - decades):.3g}") for step in range(decades * PER_DECADE + 1)]


def curves(study: Study, rates: Sequence[float]) -> dict[str, list[list[float | int | None]]]:
    """ "variant|epoch|attack" -> at each rate of the grid the false- and true-positive rates of its curve.

    The point is the last one that accuses no more non-members than the rate allows, so that no more members
    are promised than the attack found.
    """
    on_grid = {}
    allowed = np.array(rates) * (1 + 1e-9)
    for (variant, epoch, attack), curve in study.roc.items():
        at = np.searchsorted(curve[:, 0], allowed, side="right") - 1
        kept = np.where(at[:, None] >= 0, curve[at], 0.0)
        on_grid[f"{variant}|{epoch:.0f}|{attack}"] = [
            [shortened(x, RATE_DIGITS) for x in side] for side in kept.T.tolist()
        ]
    return on_grid


def _epsilon(study: Study) -> list[Mapping[str, Any]]:
    """Epsilon by epoch, what canaries show, and the bounds over the fixed split, of private variants."""
    points: list[Mapping[str, Any]] = []
    kinds = {"lower bound, each row": "epsilon_fixed_split", "lower bound, all rows at once": EPSILON_JOINT}
    for variant in filter(study.is_private, study.labels):
        spent = [(SPENT, row["epoch"], row["epsilon"]) for row in study.training[variant]]
        audited = [
            (kind, row["epoch"], row[column])
            for kind, column in kinds.items()
            for row in study.by_epoch(variant, column)
        ]
        audited += [
            (f"canaries, {box}", epoch, bound) for box, epoch, bound in shown_by_canaries(study, variant)
        ]
        for kind, epoch, value in (*spent, *audited):
            if not math.isnan(value):
                points.append({"name": variant, "kind": kind, "epoch": int(epoch), "value": shortened(value)})
    return points
