"""Everything the report shows, read once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from privacy_report.errors import UserError
from privacy_report.pipeline.contract import ENTIRE, GIVEN_BEFOREHAND
from privacy_report.pipeline.files import read_json
from privacy_report.pipeline.tables import Row, read_rows, where
from privacy_report.report.tables import settings


@dataclass(frozen=True)
class Study:
    """The merged tables and verdicts under `root`, with the questions that pictures and page ask of them.

    Epochs are floats in table rows; NaN stands for a cell that could not be measured.
    """

    root: Path = Path()

    @cached_property
    def variants(self) -> dict[str, dict[str, Any]]:
        """Variant name -> its section of params.yaml, in order."""
        path = self.root / "params.yaml"
        try:
            return {str(name): dict(values) for name, values in settings(path)["variants"].items()}
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UserError(
                f"{path}: needs a section `variants`; `python -m stages.compose` writes it"
            ) from None

    @cached_property
    def labels(self) -> dict[str, str]:
        """Variant name -> label, in order."""
        return {name: str(section.get("label", name)) for name, section in self.variants.items()}

    @cached_property
    def parity_mode(self) -> bool:
        """Whether the attacks had the reference's semantics, whose epsilon_low is no valid bound."""
        return settings(self.root / "params.yaml").get("attack", {}).get("mode") == "parity"

    def dp_settings(self, variant: str) -> dict[str, Any]:
        """A variant's section `privacy` (delta, seed, ...), empty without differential privacy."""
        return self.variants[variant].get("privacy") or {}

    @cached_property
    def training(self) -> list[Row]:
        return read_rows(self.root / "plots/training.csv")

    @cached_property
    def privacy(self) -> list[Row]:
        rows = read_rows(self.root / "plots/privacy.csv")
        if not rows:
            raise UserError("plots/privacy.csv: no rows, so there is nothing to report")
        return rows

    @cached_property
    def roc(self) -> list[Row]:
        return read_rows(self.root / "plots/roc.csv")

    @cached_property
    def gate(self) -> dict[str, Any]:
        path = self.root / "metrics/gate.json"
        if not path.is_file():
            raise UserError(f"{path}: no such file; `dvc repro gate` writes it")
        try:
            return read_json(path)
        except ValueError:
            raise UserError(f"{path}: damaged, not JSON; `dvc repro gate` writes it") from None

    @cached_property
    def dataset(self) -> dict[str, Any]:
        return read_json(self.root / "data/prepare/dataset.json")

    def part(self, table: str, variant: str) -> list[Row]:
        """A table that is not merged: data/attack/<variant>/<table>.csv."""
        return read_rows(self.root / f"data/attack/{variant}/{table}.csv")

    def verdict(self, variant: str) -> dict[str, Any]:
        """What the gate says about a variant; UserError when it says nothing."""
        try:
            return self.gate["variants"][variant]
        except (KeyError, TypeError):
            raise UserError(f"metrics/gate.json: no verdict on {variant}; run `dvc repro gate`") from None

    @cached_property
    def entire(self) -> list[Row]:
        """Rows of privacy.csv about the entire dataset."""
        return list(where(self.privacy, slice=ENTIRE))

    @cached_property
    def attacks(self) -> list[str]:
        """The attacks' names, in order of appearance."""
        return list(dict.fromkeys(row["attack"] for row in self.privacy))

    def epochs(self, variant: str) -> list[int]:
        """The epochs of a variant's checkpoints, ascending."""
        return sorted({int(row["epoch"]) for row in where(self.entire, variant=variant)})

    def recommended(self, variant: str) -> int | None:
        """The epoch of the recommended checkpoint, None when no checkpoint passes."""
        return self.verdict(variant).get("recommended_epoch")

    def shown(self, variant: str) -> dict[str, int]:
        """The checkpoints worth a closer look: "recommended" where there is one, and "last"."""
        epochs, recommended = self.epochs(variant), self.recommended(variant)
        first = {} if recommended is None else {"recommended": recommended}
        return {**first, "last": epochs[-1]} if epochs else first

    def is_private(self, variant: str) -> bool:
        """Whether a variant claims an epsilon."""
        return any(not math.isnan(row["epsilon"]) for row in where(self.training, variant=variant))

    def claimed(self, variant: str, epoch: int) -> float:
        """The epsilon claimed at an epoch, NaN without differential privacy."""
        return self._claims.get((variant, epoch), math.nan)

    @cached_property
    def _claims(self) -> dict[tuple[str, int], float]:
        return {(row["variant"], int(row["epoch"])): row["epsilon"] for row in self.training}

    def strongest(self, variant: str, epoch: int, column: str = "auc") -> Row | None:
        """The row of the attack that is strongest in `column` at a checkpoint; None without any."""
        rows = where(self.entire, variant=variant, epoch=float(epoch))
        return max(
            (row for row in rows if not math.isnan(row[column])), key=lambda row: row[column], default=None
        )


def pareto(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points (gain, harm) for which no other has as much gain with less harm, by ascending gain.

    Points with a NaN are left out; of equal points one stays.
    """
    front: list[tuple[float, float]] = []
    measured = [point for point in points if not any(math.isnan(value) for value in point)]
    for gain, harm in sorted(measured, key=lambda point: (-point[0], point[1])):
        if not front or harm < front[-1][1]:
            front.append((gain, harm))
    return front[::-1]


def check_claim(study: Study) -> None:
    """Raise UserError when an audit proves more leakage than the claimed epsilon allows.

    Then either the accounting, the training or the audit is wrong, and no number can be trusted. The
    bounds hold with 95% confidence each. Slices that the model's output selects cannot break a claim, and
    neither can the reference's epsilons, which are no bounds.
    """
    if study.parity_mode:
        return
    for row in study.privacy:
        claimed = study.claimed(row["variant"], int(row["epoch"]))
        if not row["slice"].startswith(GIVEN_BEFOREHAND):
            continue
        if row["epsilon_low"] > claimed:  # false where either is NaN
            raise UserError(
                f"{row['variant']}, epoch {row['epoch']:.0f}: attack {row['attack']} on {row['slice']} "
                f"proves epsilon >= {row['epsilon_low']:.3f}, but the training claims {claimed:.3f}: "
                "the accounting, the training or the audit is wrong"
            )
