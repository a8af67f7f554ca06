"""From checkpoints' results to the tidy tables of a variant: leaks after correction, histograms, exposure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

from privacy_report.attack.checkpoint import CheckpointFindings
from privacy_report.attack.epsilon_bound import TailCounts, epsilon_low
from privacy_report.attack.exposure import lt_iqr, most_exposed
from privacy_report.attack.intervals import holm, lower_rate, upper_rate
from privacy_report.attack.measures import EVIDENCE
from privacy_report.attack.record_auc import AUCS
from privacy_report.attack.slices import Groups
from privacy_report.pipeline.contract import (
    CLASS,
    ENTIRE,
    EPSILON_JOINT,
    EXPOSED_COLUMNS,
    GIVEN_BEFOREHAND,
    GROUP,
    HALVES_COLUMNS,
    HISTOGRAM_COLUMNS,
    LEVEL,
    METRICS,
    PLACEBO,
    PRIVACY_COLUMNS,
    ROC_COLUMNS,
    kind_of,
    on_logits,
)
from privacy_report.pipeline.digests import Arrays
from privacy_report.pipeline.tables import Row, write_table

BINS = 60
SMALLEST = 1e-6

Results = Mapping[int, CheckpointFindings]
"""Epoch -> result, epochs ascending."""


def with_leaks(rows: Iterable[Row]) -> list[Row]:
    """Rows with `leaks` yes or no: Holm at 5% over all attacks, slices and checkpoints (of a half).

    The placebo is no attack: its rows are a family of their own. Of a row in which nothing was tested `leaks`
    is None, which is an empty cell; its note says why.
    """
    rows = list(rows)
    families: dict[tuple[bool, Any], list[int]] = {}
    for i, row in enumerate(rows):
        if row["advantage_p"] is not None:
            families.setdefault((kind_of(row["attack"]) == PLACEBO, row.get("half")), []).append(i)
    leaking = set[int]().union(*(_rejected(rows, members) for members in families.values()))
    tested = {i for members in families.values() for i in members}
    return [
        row | {"leaks": ("yes" if i in leaking else "no") if i in tested else None}
        for i, row in enumerate(rows)
    ]


def _rejected(rows: Sequence[Row], family: Sequence[int]) -> set[int]:
    """The positions of `family` in `rows` whose p-values Holm's procedure rejects."""
    rejected = holm(np.array([rows[i]["advantage_p"] for i in family]))
    return {i for i, leaks in zip(family, rejected, strict=True) if leaks}


def with_joint_epsilon(rows: list[Row]) -> list[Row]:
    """Rows with the bound of epsilon that holds for all of them at once (Bonferroni), and without EVIDENCE.

    Only slices that no output decides are counted and bounded, since epsilon is about no others; the others,
    and rows of modes that have no valid bound, get None.
    """
    bounded = [EVIDENCE in row and row["slice"].startswith(GIVEN_BEFOREHAND) for row in rows]
    joint_rows = []
    for row, is_bounded in zip(rows, bounded, strict=True):
        joint = None
        if is_bounded:
            *counts, delta = row[EVIDENCE]
            joint = epsilon_low(TailCounts(*counts), delta, LEVEL / sum(bounded))
        rest = {name: value for name, value in row.items() if name != EVIDENCE}
        joint_rows.append(rest | {EPSILON_JOINT: joint})
    return joint_rows


def privacy_rows(variant: str, results: Results, halves: bool = False) -> list[Row]:
    """Rows of privacy.csv, or of halves.csv, over all checkpoints."""
    rows = with_leaks(
        {"variant": variant, "epoch": epoch} | row
        for epoch, result in results.items()
        for row in (result.halves if halves else result.rows)
    )
    return with_joint_epsilon(rows)


def roc_rows(variant: str, results: Results) -> list[Row]:
    """Rows of roc.csv: the curves on the entire dataset, those of attacks on less than logits left out."""
    rows = [
        {"variant": variant, "epoch": epoch, "attack": attack, "slice": ENTIRE, "fpr": x, "tpr": y}
        for epoch, result in results.items()
        for attack, (fpr, tpr) in result.curves.items()
        for x, y in zip(fpr.tolist(), tpr.tolist(), strict=True)
    ]
    return on_logits(rows)


def histogram_rows(variant: str, results: Results) -> list[Row]:
    """Rows of histograms.csv: losses in bins that are geometric and common to all checkpoints.

    Losses below the first edge are counted in the first bin.
    """
    sides = {"member": "member_loss", "nonmember": "nonmember_loss"}
    top = max(float(getattr(result, loss).max()) for result in results.values() for loss in sides.values())
    edges = np.geomspace(SMALLEST, max(top, 10 * SMALLEST) * (1 + 1e-9), BINS + 1)
    rows = []
    for epoch, result in results.items():
        for side, loss in sides.items():
            counts, _ = np.histogram(np.maximum(getattr(result, loss), edges[0]), edges)
            for low, high, count in zip(
                edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True
            ):
                row = {"variant": variant, "epoch": epoch, "side": side}
                rows.append(row | {"low": low, "high": high, "count": count})
    return rows


def exposed_rows(
    variant: str, results: Results, index: np.ndarray, labels: np.ndarray, by_member: Mapping[str, np.ndarray]
) -> list[Row]:
    """Rows of exposed.csv: the most exposed members.

    `index` and `labels` int (n_member,): positions in the dataset, and classes; `by_member`: what the
    references say of each member (`example_exposure.of_members`), empty without any. With references members
    are ranked by their exposure, else by how far their losses swung over the checkpoints (LT-IQR). `loss` and
    `probability` (of membership) are those at the last checkpoint.
    """
    last = list(results.values())[-1]
    probability = last.probability[: len(index)]
    nothing = np.full(len(index), np.nan)
    scores, ranking = by_member.get("exposure", nothing), "exposure"
    if not np.isfinite(scores).all():
        scores, ranking = lt_iqr(np.stack([result.member_loss for result in results.values()])), "lt_iqr"
    found_at_fpr = by_member.get("found_at_fpr", nothing)
    return [
        {
            "variant": variant,
            "rank": rank,
            "index": int(index[i]),
            "label": int(labels[i]),
            "ranking": ranking,
            "score": float(scores[i]),
            "found_at_fpr": float(found_at_fpr[i]),
            "loss": float(last.member_loss[i]),
            "probability": float(probability[i]),
        }
        for rank, i in enumerate(most_exposed(scores, probability), start=1)
    ]


def slices_of_members(
    labels: np.ndarray, kinds: Iterable[str], groups: Groups | None, persons: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Name -> positions among the members: of all, and of classes and groups where `kinds` has them.

    persons: int (n_member,), whose row each is; then the positions are those of the persons with rows in the
    slice, among all who are members, by their numbers.
    """
    positions = {ENTIRE: np.arange(len(labels))}
    if "class" in kinds:
        positions |= {f"{CLASS}{label}": np.flatnonzero(labels == label) for label in np.unique(labels)}
    if "group" in kinds:
        positions |= {f"{GROUP}{name}": np.array(group.member, int) for name, group in (groups or {}).items()}
    if persons is not None:
        person = np.unique(persons, return_inverse=True)[1]
        positions = {name: np.unique(person[rows]) for name, rows in positions.items()}
    return {name: members for name, members in positions.items() if len(members)}


def record_auc_rows(variant: str, epoch: int, arrays: Arrays, slices: Mapping[str, np.ndarray]) -> list[Row]:
    """Rows of record_auc.csv: for each slice and AUC the share of members that reach it, and noise's share.

    arrays: see `record_auc.of_members`; epoch: of the references; slices: see `slices_of_members`. With
    persons both are of these, whom `n_member` counts. All rows of the entire dataset hold at once with 95%,
    and so do all rows of classes and groups (Bonferroni): the Clopper-Pearson intervals, and the upper ends
    of noise. These are binomial quantiles at the mean chance: examples with unequal chances exceed them more
    rarely (Hoeffding 1956, theorem 4).
    """
    if "record_auc" not in arrays:
        return []
    rows = []
    for name, members in slices.items():
        tail = LEVEL / len(AUCS) / (1 if name == ENTIRE else len(slices) - 1)
        n, known = len(members), arrays["record_auc"][members]
        chances = arrays["by_noise"][members].mean(axis=0, dtype=np.float64)
        for auc, chance in zip(AUCS, chances.tolist(), strict=True):
            reach = int((known >= auc).sum())
            rows.append(
                {
                    "variant": variant,
                    "epoch": epoch,
                    "slice": name,
                    "n_member": n,
                    "record_auc": auc,
                    "share": reach / n,
                    "share_low": float(lower_rate(reach, n, tail / 2)),
                    "share_high": float(upper_rate(reach, n, tail / 2)),
                    "noise": chance,
                    "noise_high": float(binom.isf(tail, n, chance)) / n,
                }
            )
    return rows


def summary(rows: Sequence[Row]) -> dict[str, Row]:
    """attack -> its metrics at the last checkpoint on the entire dataset; what is missing is left out.

    Of an attack that could not be made there is nothing but the `note` that says why.
    """
    if not rows:
        return {}
    last = max(row["epoch"] for row in rows)
    return {
        row["attack"]: {key: row[key] for key in (*METRICS, "leaks") if row.get(key) is not None}
        if row["auc"] is not None
        else {"note": row["note"]}
        for row in rows
        if row["epoch"] == last and row["slice"] == ENTIRE
    }


def write(
    folder: Path, variant: str, results: Results, member: np.ndarray, labels: np.ndarray, members: Arrays
) -> None:
    """Write all tables of a variant to `folder`; arguments as of `exposed_rows`."""
    rows = privacy_rows(variant, results)
    write_table(folder / "privacy.csv", rows, PRIVACY_COLUMNS)
    write_table(folder / "halves.csv", privacy_rows(variant, results, halves=True), HALVES_COLUMNS)
    write_table(folder / "roc.csv", roc_rows(variant, results), ROC_COLUMNS)
    write_table(folder / "histograms.csv", histogram_rows(variant, results), HISTOGRAM_COLUMNS)
    exposed = exposed_rows(variant, results, member, labels, members)
    write_table(folder / "exposed.csv", exposed, EXPOSED_COLUMNS)
