"""What outputs say about themselves before any attack: sizes, accuracies, constants, rows on both sides.

What tests/audits/test_checks.py repeats: sound outputs are suspected in at most 2.5% of draws, by each test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from privacy_report.attack.intervals import lower_rate, upper_rate
from privacy_report.audits.scores import SCORES
from privacy_report.errors import UserError
from privacy_report.pipeline.blocks import Rows, blocks
from privacy_report.pipeline.contract import LEVEL
from privacy_report.pipeline.outputs import Outputs


@dataclass(frozen=True)
class Side:
    """Members or non-members: n, how many are classified right, and what shuffled labels would give.

    by_chance: the accuracy expected of shuffled labels; predictions_fit, outputs_fit: standard deviations by
    which predictions, and the labels' probabilities, agree better with the labels than with shuffled ones;
    constant: whether all rows are the same.
    """

    n: int
    correct: int
    by_chance: float
    predictions_fit: float
    outputs_fit: float
    constant: bool

    @property
    def accuracy(self) -> float:
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the accuracy (Clopper-Pearson)."""
        ends = (bound(self.correct, self.n, LEVEL / 2) for bound in (lower_rate, upper_rate))
        low, high = map(float, ends)
        return low, high


@dataclass(frozen=True)
class InputCheck:
    """Both sides; equal_rows: how many non-members have exactly the outputs of a member, and equal_p: how
    likely that is where the sides share no example (`shared`); given: see `audit_file.AuditFile`. Scores have
    no labels, and so no accuracy. persons: rows int of each member, and of each non-member, where rows have
    persons: then accuracies have no interval and are not compared, since rows of a person are alike."""

    member: Side
    nonmember: Side
    equal_rows: int
    equal_p: float
    given: str = ""
    persons: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def unequal_p(self) -> float:
        """P-value of one side's persons' having more rows than the other's (Mann-Whitney, two-sided)."""
        if self.persons is None or len(np.unique(np.concatenate(self.persons))) == 1:
            return 1.0
        return float(stats.mannwhitneyu(*self.persons, method="asymptotic").pvalue)

    @property
    def better_p(self) -> float:
        """P-value of non-members' being classified better than members (Fisher's exact test, one-sided)."""
        member, nonmember = self.member, self.nonmember
        correct = member.correct + nonmember.correct
        return float(stats.hypergeom.sf(nonmember.correct - 1, member.n + nonmember.n, correct, nonmember.n))

    def warnings(self, level: float = LEVEL) -> dict[str, str]:
        """Kind of fault -> a line about it. What suspects sound outputs does so with probability level / 2;
        what calls labels at chance does so unless their 95% interval excludes it."""
        return dict(_warnings(self, level))

    def plain(self) -> dict[str, Any]:
        """For summary.json."""
        sides = {"members": self.member, "nonmembers": self.nonmember}
        summary: dict[str, Any] = {"equal_rows": self.equal_rows}
        for name, side in sides.items():
            low, high = side.interval
            if self.given == SCORES:
                summary[name] = {"n": side.n, "constant": side.constant}
                continue
            summary[name] = {"n": side.n, "accuracy": side.accuracy, "accuracy_low": low}
            summary[name] |= {"accuracy_high": high, "accuracy_of_shuffled_labels": side.by_chance}
            summary[name] |= {"constant": side.constant}
        for name, rows in zip(sides, self.persons or (), strict=False):
            summary[name] = {key: cell for key, cell in summary[name].items() if key not in ENDS}
            summary[name]["persons"] = len(rows)
        return summary


ENDS = ("accuracy_low", "accuracy_high")


def rows_of_persons(persons: np.ndarray | None, n_member: int) -> tuple[np.ndarray, np.ndarray] | None:
    """How many rows each member has, and each non-member; persons int (n,), as in `audit_file.AuditFile`."""
    if persons is None:
        return None
    member, nonmember = (np.unique(side, return_counts=True)[1] for side in np.split(persons, [n_member]))
    return member, nonmember


def check_outputs(outputs: Outputs) -> InputCheck:
    """What can be said of outputs before any attack. UserError where both sides are the same array."""
    kind = np.result_type(outputs.member_logits.dtype, outputs.nonmember_logits.dtype)
    hashes = [_hashes(rows, kind) for rows in (outputs.member_logits, outputs.nonmember_logits)]
    constant = [len(side) > 1 and bool((side == side[0]).all()) for side in hashes]
    if np.array_equal(hashes[0], hashes[1]) and len(hashes[0]) > 1 and not constant[0]:
        raise UserError(
            f"{outputs.source}: the outputs of members and non-members are the same {len(hashes[0]):,} rows, "
            "allowed: different examples on the two sides"
        )
    member = _side(outputs.member_logits, outputs.member_labels, constant[0])
    nonmember = _side(outputs.nonmember_logits, outputs.nonmember_labels, constant[1])
    return InputCheck(member, nonmember, *shared(*hashes))


def _hashes(rows: Rows, kind: np.dtype) -> np.ndarray:
    """A number int64 (n,) of each row; equal rows have the same, others with probability 2^-64."""
    hashes = np.empty(rows.shape[0], np.int64)
    for span, block in blocks(rows):
        block = np.ascontiguousarray(block.astype(kind) + 0.0)  # no -0.0
        packed = block.view(np.dtype((np.void, block.shape[1] * block.itemsize)))
        hashes[span] = [hash(row) for row in packed.ravel().tolist()]
    return hashes


def shared(member: np.ndarray, nonmember: np.ndarray) -> tuple[int, float]:
    """How many non-members equal a member, and how likely that is where no example is on both sides.

    member int (n_member,), nonmember int (n_nonmember,), a number for each row. Saturated or coarse outputs
    (of trees) repeat on one side, too. If nothing but chance says who is a member, a group of g equal rows is
    on one side only with probability (C(n_member, g) + C(n_nonmember, g)) / C(n, g). The number of groups on
    both sides is held against a binomial with the mean of all groups, whose tail is no smaller than that of
    groups that differ (Hoeffding 1956).
    """
    _, group, size = np.unique(np.concatenate([member, nonmember]), return_inverse=True, return_counts=True)
    members = np.bincount(group[: len(member)], minlength=len(size))
    nonmembers, repeated = size - members, size > 1
    if not repeated.any():
        return 0, 1.0
    both = (members > 0) & (nonmembers > 0)
    size, n = size[repeated], len(group)
    alone = sum(np.exp(_log_falling(len(side), size) - _log_falling(n, size)) for side in (member, nonmember))
    p = stats.binom.sf(np.count_nonzero(both) - 1, len(size), np.clip(1 - np.mean(alone), 0, 1))
    return int(nonmembers[both].sum()), float(p)


def _log_falling(n: int, k: np.ndarray) -> np.ndarray:
    """log of n (n - 1) ... (n - k + 1); -inf for k > n."""
    return np.where(k > n, -np.inf, special.gammaln(n + 1) - special.gammaln(np.maximum(n - k, 0) + 1))


def _side(logits: Rows, labels: np.ndarray, constant: bool) -> Side:
    n, n_classes = len(labels), logits.shape[1]
    shares = np.bincount(labels, minlength=n_classes) / n
    predicted, of_classes = np.zeros(n_classes, np.int64), np.zeros(n_classes)
    correct, own, squares, by_row = 0, 0.0, 0.0, 0.0
    for span, block in blocks(logits):
        block, at = block.astype(np.float64), labels[span]
        top = block.argmax(axis=1)
        predicted += np.bincount(top, minlength=n_classes)
        correct += int(np.count_nonzero(top == at))
        probabilities = special.softmax(block, axis=1)
        own += probabilities[np.arange(len(at)), at].sum()
        of_classes += probabilities.sum(axis=0)
        by_row += ((probabilities @ shares) ** 2).sum()
        squares += (np.square(probabilities, out=probabilities) @ shares).sum()
    return Side(
        n,
        correct,
        float(predicted @ shares) / n,
        _deviations(n, shares, correct, predicted, predicted @ shares, predicted @ shares**2),
        _deviations(n, shares, own, of_classes, squares, by_row),
        constant,
    )


def _deviations(
    n: int, shares: np.ndarray, own: float, of_classes: np.ndarray, squares: Any, by_row: Any
) -> float:
    """How much larger values (n, k) in 0..1 are at the labels than at shuffled ones, in standard deviations.

    own: their sum at the labels; of_classes (k,): the classes' sums; with a class drawn by `shares`, squares
    is the sum of the rows' mean squares and by_row of their squared means. Mean and variance over all orders
    of the labels are exact (Hoeffding 1951). 0 where every order gives the same.
    """
    by_chance = of_classes @ shares
    variance = squares - by_row - (of_classes**2 @ shares - by_chance**2) / n
    if variance <= 1e-9 * max(squares, 1.0):
        return 0.0
    return float((own - by_chance) / np.sqrt(variance * n / (n - 1)))


def _warnings(check: InputCheck, level: float) -> Iterator[tuple[str, str]]:
    sides: Mapping[str, Side] = {"members": check.member, "non-members": check.nonmember}
    least = stats.norm.isf(LEVEL / 2)
    for name, side in sides.items():
        if side.constant:
            yield f"constant {name}", f"the outputs of {name} are constant: all {side.n:,} rows are the same"
    told = {name: side for name, side in sides.items() if not side.constant and check.given != SCORES}
    at_chance = {name: side for name, side in told.items() if side.predictions_fit <= least}
    unfit = [name for name, side in at_chance.items() if side.outputs_fit <= least]
    for name, side in at_chance.items():
        said = _at_chance(name, side, bool(check.persons), least)
        if unfit == [name] and len(told) == 2:
            said += "; only this side's labels fit no better than chance: are they in the order of its rows?"
        elif name in unfit:
            said += "; is the order of the classes that of the columns, and is the model trained?"
        yield f"chance {name}", said
    if check.given != SCORES and not check.persons and check.better_p <= level / 2 and not unfit:
        first, second = check.nonmember.accuracy, check.member.accuracy
        yield (
            "better",
            f"non-members are classified better than members, {first:.3f} against {second:.3f} "
            f"(p = {check.better_p:.1g}): are the sides swapped, or of different distributions?",
        )
    if check.persons and check.unequal_p <= level / 2:
        first, second = (rows.mean() for rows in check.persons)
        yield (
            "rows of persons",
            f"members have {first:.3g} rows per person and non-members {second:.3g} "
            f"(p = {check.unequal_p:.1g}): the highest score of more rows is higher, and so is their sum, "
            "without any leak",
        )
    if check.equal_p <= level / 2:
        yield (
            "equal",
            f"{check.equal_rows:,} of {check.nonmember.n:,} non-members have exactly the outputs of a "
            f"member, more than chance gives (p = {check.equal_p:.1g}): are the same examples on both sides?",
        )


def _at_chance(name: str, side: Side, persons: bool, least: float) -> str:
    """How accurate the model is on a side, and shuffled labels; the interval is of rows, not of persons."""
    low, high = side.interval
    interval = "" if persons else f" ({low:.3f}-{high:.3f})"
    where = "below" if side.predictions_fit < -least else "at"
    return (
        f"the accuracy of {name}, {side.accuracy:.3f}{interval}, is {where} chance: "
        f"shuffled labels give {side.by_chance:.3f}"
    )


def said_once(checks: Mapping[str, InputCheck]) -> list[str]:
    """The warnings of a model's checkpoints (file -> check), each kind once, of the last that has it.

    The level is divided by the number of checkpoints (Bonferroni).
    """
    kinds: dict[str, list[str]] = {}
    for source, check in checks.items():
        for kind, text in check.warnings(LEVEL / len(checks)).items():
            kinds.setdefault(kind, []).append(f"{source}: {text}")
    return [
        texts[-1] + (f" ({len(texts)} of {len(checks)} checkpoints)" if len(checks) > 1 else "")
        for texts in kinds.values()
    ]
