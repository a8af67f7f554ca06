"""Everything the report shows, each table read once and found by index."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.errors import UserError
from privacy_report.gate.check import read_verdict
from privacy_report.gate.counting import Checkpoint
from privacy_report.gate.inputs import read_variants
from privacy_report.gate.twins import counting_twin, is_twin, read_one_run, twin_of
from privacy_report.gate.words import KEEPS
from privacy_report.pipeline import claim
from privacy_report.pipeline.claim import Claim
from privacy_report.pipeline.contract import (
    CLASS,
    EARLY,
    ENTIRE,
    OUTPUTS,
    PLACEBO,
    REFERENCES,
    counts_persons,
    kind_of,
    on_logits,
)
from privacy_report.pipeline.files import read_json
from privacy_report.pipeline.tables import Row, read_rows
from privacy_report.report.study_files import curves_in, grouped, parts_of, settings

MANY = 6  # variants; with more, only the strongest attack is drawn, without bands, and the page folds
MOST_CLOSE = 12  # variants that get pictures of their own: classes, losses, exposed images, epsilon

OUTPUTS_ONLY = (OUTPUTS,)
MORE_THAN_OUTPUTS = (EARLY, REFERENCES)
ATTACKS = (*OUTPUTS_ONLY, *MORE_THAN_OUTPUTS)
"""Kinds of attacks; a placebo is none."""
SPENT = "spent so far"
"""What curves of a private variant's epsilon are called: the claim is where they end."""


@dataclass(frozen=True)
class Study:
    """The tables and verdicts under `root`, with the questions that pictures and page ask of them.

    Epochs are floats in table rows; NaN stands for a cell that could not be measured.
    """

    root: Path = Path()

    @cached_property
    def params(self) -> dict[str, Any]:
        """params.yaml, section by section."""
        return settings(self.root / "params.yaml")

    @cached_property
    def variants(self) -> dict[str, dict[str, Any]]:
        """Variant name -> its section of params.yaml, in order."""
        return read_variants(self.root / "params.yaml")

    @cached_property
    def labels(self) -> dict[str, str]:
        """Variant name -> label, in order."""
        return {name: str(section.get("label", name)) for name, section in self.variants.items()}

    @cached_property
    def candidates(self) -> dict[str, str]:
        """Variant name -> label of what may be shipped: without audit twins, where there is anything else."""
        shippable = {name: label for name, label in self.labels.items() if not is_twin(name, self.variants)}
        return shippable or self.labels

    def one_run(self, variant: str, canaries: str = "") -> dict[str, Any] | None:
        """The one-run audit of a variant or its audit twin; None without one.

        canaries: EXAMPLES or GRADIENTS; "": of the twin that counts.
        """
        whose = variant, self.variants
        twin = twin_of(*whose, canaries) if canaries else counting_twin(*whose)
        return read_one_run(twin, self.root)

    @property
    def many(self) -> bool:
        """Whether there are so many variants that less is said of each."""
        return len(self.labels) > MANY

    @cached_property
    def parity_mode(self) -> bool:
        """Whether the attacks had the reference's semantics, whose epsilon_fixed_split is no valid bound."""
        return self.params.get("attack", {}).get("mode") == "parity"

    @cached_property
    def trained_here(self) -> bool:
        """Whether the pipeline made it all, and its files are there; of an audit's page they are not."""
        return not self.dataset.get("audited", False)

    @cached_property
    def public(self) -> bool:
        """Whether the dataset's section says that anybody may see the images."""
        return self.params.get("dataset", {}).get("public") is True

    @cached_property
    def at_chance(self) -> list[str]:
        """The variants at whose last checkpoint no attack detected a leak, on any slice."""
        leaking = {(row["variant"], int(row["epoch"])) for row in self.privacy if is_leak(row)}
        return [name for name in self.labels if (name, max(self.epochs(name), default=0)) not in leaking]

    def dp_settings(self, variant: str) -> dict[str, Any]:
        """A variant's section `privacy` (delta, seed, ...), empty without differential privacy."""
        return self.variants[variant].get("privacy") or {}

    @cached_property
    def training(self) -> dict[str, list[Row]]:
        """Variant -> its rows of history.csv, by epoch."""
        parts = parts_of("training", self.labels, self.root)
        return {variant: rows for variant, path in parts.items() if (rows := read_rows(path))}

    @cached_property
    def privacy(self) -> list[Row]:
        """The rows of privacy.csv of attacks that see everything, a placebo's too."""
        by_variant = grouped(self.every_row, "variant")
        rows = [row for rows in by_variant.values() for row in on_logits(rows)]
        if not rows:
            raise UserError("plots/privacy.csv: no rows, so there is nothing to report")
        return rows

    @cached_property
    def every_row(self) -> list[Row]:
        """All rows of privacy.csv: also of attacks on less than logits."""
        return read_rows(self.root / "plots/privacy.csv")

    def persons(self, variant: str) -> bool:
        """Whether the rows of a variant count persons."""
        return variant in self._of_persons

    @cached_property
    def _of_persons(self) -> set[str]:
        return {row["variant"] for row in self.every_row if counts_persons([row])}

    @cached_property
    def of_releases(self) -> list[Row]:
        """The rows on the entire dataset of attacks that see everything, and of those that see less."""
        return [row for row in self.every_row if row["slice"] == ENTIRE and is_attack(row)]

    def measured(self, variant: str, epoch: int) -> list[Row]:
        """Those of a checkpoint that have an AUC."""
        at = (row for row in self.of_releases if (row["variant"], row["epoch"]) == (variant, epoch))
        return [row for row in at if not math.isnan(row["auc"])]

    @cached_property
    def roc(self) -> dict[tuple[str, float, str], np.ndarray]:
        """(Variant, epoch, attack) -> its curve on the entire dataset: rates (n, 2), false then true ones."""
        parts = parts_of("roc", self.labels, self.root).values()
        return {key: curve for path in parts for key, curve in curves_in(path).items()}

    def curve(self, row: Row) -> np.ndarray:
        """The curve (n, 2) behind an attack's row on the entire dataset, empty where there is none."""
        return self.roc.get((row["variant"], row["epoch"], row["attack"]), np.empty((0, 2)))

    @cached_property
    def dataset(self) -> dict[str, Any]:
        return read_json(self.root / "data/prepare/dataset.json")

    def part(self, table: str, variant: str) -> list[Row]:
        """A table that is not merged: data/attack/<variant>/<table>.csv, read anew at each call."""
        return read_rows(self.root / f"data/attack/{variant}/{table}.csv")

    def verdict(self, variant: str) -> dict[str, Any]:
        """What the gate says about a variant; UserError when it says nothing."""
        return self._verdicts[variant]

    @cached_property
    def _verdicts(self) -> dict[str, dict[str, Any]]:
        return {variant: read_verdict(variant, self.root) for variant in self.labels}

    @cached_property
    def entire(self) -> dict[tuple[str, float], list[Row]]:
        """(Variant, epoch) -> the attacks' rows on the entire dataset."""
        rows = (row for row in self.privacy if row["slice"] == ENTIRE and is_attack(row))
        return grouped(rows, "variant", "epoch")

    @cached_property
    def by_class(self) -> dict[str, list[Row]]:
        """Variant -> the attacks' rows on single classes."""
        rows = (row for row in self.privacy if row["slice"].startswith(CLASS) and is_attack(row))
        return grouped(rows, "variant")

    @cached_property
    def placebo(self) -> dict[str, list[Row]]:
        """Variant -> the placebo's rows on the entire dataset, empty where none was made."""
        rows = (row for row in self.privacy if row["slice"] == ENTIRE and not is_attack(row))
        return grouped(rows, "variant")

    @cached_property
    def by_attack(self) -> dict[tuple[str, str], list[Row]]:
        """(Variant, attack) -> its rows of privacy.csv, over all checkpoints and slices."""
        return grouped(self.privacy, "variant", "attack")

    def attacks(self, kinds: Collection[str] = ATTACKS) -> list[str]:
        """The names of the attacks of some kinds, in order of appearance."""
        names = dict.fromkeys(attack for _, attack in self.by_attack)
        return [name for name in names if kind_of(name) in kinds]

    @cached_property
    def _epochs(self) -> dict[str, list[int]]:
        by_variant: dict[str, set[int]] = {}
        for variant, epoch in self.entire:
            by_variant.setdefault(variant, set()).add(int(epoch))
        return {variant: sorted(epochs) for variant, epochs in by_variant.items()}

    def epochs(self, variant: str) -> list[int]:
        """The epochs of a variant's checkpoints, ascending."""
        return self._epochs.get(variant, [])

    def recommended(self, variant: str) -> int | None:
        """The epoch of the recommended checkpoint, None when none keeps the policy, and confirmed."""
        verdict = self.verdict(variant)
        return verdict["recommended_epoch"] if verdict["verdict"] == KEEPS else None

    def shown(self, variant: str) -> dict[str, int]:
        """The checkpoints worth a closer look: "recommended" where there is one, and "last"."""
        epochs, recommended = self.epochs(variant), self.recommended(variant)
        first = {} if recommended is None else {"recommended": recommended}
        return {**first, "last": epochs[-1]} if epochs else first

    def claim(self, variant: str) -> Claim | None:
        """What a private variant claims of all its checkpoints, None without differential privacy."""
        return self._claims[variant]

    @cached_property
    def _claims(self) -> dict[str, Claim | None]:
        folder = self.root / claim.FOLDER
        return {variant: claim.read(claim.path_of(variant, folder)) for variant in self.labels}

    def is_private(self, variant: str) -> bool:
        """Whether a variant claims an epsilon."""
        return self.claim(variant) is not None

    def spent(self, variant: str, epoch: int) -> float:
        """The epsilon of an epoch and those before it, NaN without differential privacy.

        At the last epoch it is the claim, which is for whichever checkpoint is chosen.
        """
        return self._epsilons.get((variant, epoch), math.nan)

    @cached_property
    def _epsilons(self) -> dict[tuple[str, int], float]:
        rows = (row for rows in self.training.values() for row in rows)
        return {(row["variant"], int(row["epoch"])): row["epsilon"] for row in rows}

    def checkpoint(self, variant: str, epoch: int) -> Checkpoint:
        """The rows of a checkpoint on all examples, with the attackers that count in its verdict.

        The first screen, the tables and metrics/ show `gate.policy.numbers` of it.
        """
        released = self.verdict(variant).get("released")
        return Checkpoint(epoch, self._by_checkpoint.get((variant, epoch), []), released=released)

    @cached_property
    def _by_checkpoint(self) -> dict[tuple[str, float], list[Row]]:
        return grouped(self.every_row, "variant", "epoch")

    def strongest(
        self, variant: str, epoch: int, column: str = "auc", kinds: Collection[str] = ATTACKS
    ) -> Row | None:
        """The row of the strongest attack in `column` at a checkpoint, of some kinds; None without any."""
        rows = self.entire.get((variant, epoch), ())
        measured = (row for row in rows if kind_of(row["attack"]) in kinds and not math.isnan(row[column]))
        return max(measured, key=lambda row: row[column], default=None)

    def leaks(self, variant: str, epoch: float, kinds: Collection[str] = ATTACKS) -> bool:
        """Whether an attack of some kinds detected a leak on the entire dataset at a checkpoint."""
        rows = self.entire.get((variant, epoch), ())
        return any(is_leak(row) for row in rows if kind_of(row["attack"]) in kinds)

    def by_epoch(self, variant: str, column: str, kinds: Collection[str] = ATTACKS) -> list[Row]:
        """The row of the strongest attack of some kinds at each checkpoint where one could be measured."""
        strongest = (self.strongest(variant, epoch, column, kinds) for epoch in self.epochs(variant))
        return [row for row in strongest if row is not None]

    def close(self, variants: Iterable[str]) -> list[str]:
        """At most MOST_CLOSE of the variants, in their order: those that leak most at the last checkpoint."""
        names = list(variants)
        worst = sorted(names, key=self._last_auc, reverse=True)[:MOST_CLOSE]
        return [name for name in names if name in worst]

    def _last_auc(self, variant: str) -> float:
        rows = self.by_epoch(variant, "auc")
        return rows[-1]["auc"] if rows else 0.0


def is_attack(row: Row) -> bool:
    """Whether a row of privacy.csv is an attack's, not a placebo's."""
    return kind_of(row["attack"]) != PLACEBO


def is_leak(row: Row) -> bool:
    """Whether an attack detected a leak in a row, after correction."""
    return row["leaks"] == "yes" and is_attack(row)


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
