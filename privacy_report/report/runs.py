"""A variant's training runs, itself and those that repeat it with other seeds, as one curve with a band."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from privacy_report.pipeline.contract import kind_of
from privacy_report.report.study import ATTACKS, Study


@dataclass(frozen=True)
class Runs:
    """The runs of the variant `of`, which is the first; middle: the one whose curve stands for all."""

    of: str
    names: Sequence[str]
    middle: str

    @property
    def several(self) -> bool:
        return len(self.names) > 1


class Between(NamedTuple):
    """What the runs have at one epoch: the middle one, and the least and the largest of all."""

    epoch: int
    low: float
    middle: float
    high: float


def runs(study: Study) -> dict[str, Runs]:
    """Variant -> its runs, of all that may be shipped and repeat none; most have one run, themselves.

    The middle run has the middle AUC at the last checkpoint that all have; of an even number the higher one.
    """
    repeats = {name: study.variants[name].get("repeats") for name in study.candidates}
    groups = {}
    for of in (name for name, first in repeats.items() if first not in repeats):
        names = [of, *(name for name, first in repeats.items() if first == of)]
        last = max(epochs_of(study, names), default=None)
        aucs = {} if last is None or len(names) < 2 else leaks_at(study, names, last, "auc")
        middle = sorted(names, key=aucs.__getitem__)[len(names) // 2] if aucs else of
        groups[of] = Runs(of, names, middle)
    return groups


def label_of(study: Study, group: Runs) -> str:
    """What a picture calls the runs."""
    label = study.labels[group.of]
    return f"{label}, {len(group.names)} seeds" if group.several else label


def epochs_of(study: Study, names: Collection[str]) -> list[int]:
    """The epochs of which all have a checkpoint, ascending."""
    return sorted(set.intersection(*(set(study.epochs(name)) for name in names)))


def leaks_at(
    study: Study, names: Collection[str], epoch: int, column: str, kinds: Collection[str] = ATTACKS
) -> dict[str, float]:
    """Variant -> the strongest number of `column` at an epoch, by attacks of some kinds that measured all.

    An attack that was not made on each of them would make some look worse for having been looked at more
    closely. Empty where there is none.
    """
    by_run = {
        name: {
            row["attack"]: row[column]
            for row in study.entire.get((name, epoch), ())
            if kind_of(row["attack"]) in kinds and not math.isnan(row[column])
        }
        for name in names
    }
    shared = set.intersection(*(set(by_attack) for by_attack in by_run.values()))
    return (
        {name: max(by_attack[attack] for attack in shared) for name, by_attack in by_run.items()}
        if shared
        else {}
    )


def between(study: Study, group: Runs, column: str, kinds: Collection[str] = ATTACKS) -> list[Between]:
    """The runs' numbers of `column` at each epoch where all have one, as in `leaks_at`."""
    return _between(
        group, {e: leaks_at(study, group.names, e, column, kinds) for e in epochs_of(study, group.names)}
    )


def accuracies(study: Study, group: Runs) -> list[Between]:
    """The runs' validation accuracies at each epoch of training that all have."""
    by_run = {
        name: {int(row["epoch"]): row["val_accuracy"] for row in study.training.get(name, ())}
        for name in group.names
    }
    epochs = sorted(set.intersection(*(set(by_epoch) for by_epoch in by_run.values())))
    return _between(group, {epoch: {name: by_run[name][epoch] for name in group.names} for epoch in epochs})


def _between(group: Runs, by_epoch: dict[int, dict[str, float]]) -> list[Between]:
    return [
        Between(epoch, min(by_run.values()), by_run[group.middle], max(by_run.values()))
        for epoch, by_run in by_epoch.items()
        if by_run
    ]
