"""References in the target's place: what an attack finds where the truth is known, and what it must not.

No function here sees a label of the target except `placebo`, which sees nothing else of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from privacy_report.attack.evidence import nearest
from privacy_report.attack.intervals import MIN_FALSE_POSITIVES, auc_interval
from privacy_report.attack.reference_scores import Score, rmia
from privacy_report.attack.references import References
from privacy_report.attack.roc import auc, roc_curve, tpr_at_fpr
from privacy_report.errors import UserError
from privacy_report.pipeline import contract

FPRS = {**contract.FPRS, "tpr_at_0p01pct_fpr": 0.0001}
"""Measure -> the false-positive rate at which references are compared: they have more non-members."""
TRIED = 4
"""References that are attacked to choose an epoch: two pairs."""
CHOSEN_BY = "tpr_at_1pct_fpr"
"""The measure that chooses an epoch."""


@dataclass(frozen=True)
class Outcome:
    """What an attack found in each of m attacked references.

    `auc`, `auc_low`, `auc_high` float (m,): the AUC and its 95% interval; `tpr` float (m, 3), at FPRS, NaN
    where not one false positive is allowed.
    """

    auc: np.ndarray
    auc_low: np.ndarray
    auc_high: np.ndarray
    tpr: np.ndarray

    def named(self) -> dict[str, np.ndarray]:
        """Each measure by its name, float (m,)."""
        return {"auc": self.auc} | {name: self.tpr[:, i] for i, name in enumerate(FPRS)}

    def mean(self) -> dict[str, float]:
        """Each measure's mean over the attacked references."""
        return {name: float(values.mean()) for name, values in self.named().items()}

    def spread(self) -> dict[str, float]:
        """Each measure's standard deviation over the attacked references: how much models differ.

        They share attackers, so that the mean's error is not this over the root of m.
        """
        return {name: float(values.std(ddof=1)) for name, values in self.named().items()}


def scores_of_reference(score: Score, references: References, reference: int) -> np.ndarray:
    """Reference number `reference` attacked by those outside its group: scores, float (n,)."""
    return score(references.phi[reference], references.without_group_of(reference))


def recipe_at(score: Score, attacked: References, others: References) -> dict[str, np.ndarray]:
    """`recipe` with attackers of another epoch than the attacked: measure -> float (k,), one a reference.

    UserError for fewer than two groups.
    """
    scores = [score(attacked.phi[j], others.without_group_of(j)) for j in range(attacked.k)]
    return _outcome(scores, list(attacked.is_member)).named()


def recipe(score: Score, references: References) -> Outcome:
    """Every reference attacked by those outside its group: what this way of training leaks.

    Labelled by the attacked reference's own membership. UserError for fewer than two groups.
    """
    scores = [scores_of_reference(score, references, j) for j in range(references.k)]
    return _outcome(scores, list(references.is_member))


def placebo_scores(target_phi: np.ndarray, references: References) -> np.ndarray:
    """Scores of the first reference in the target's place, by `rmia` with those outside its group: (n,).

    UserError for fewer than two groups. See `placebo` for what they must not find.
    """
    return scores_of_reference(rmia, references, 0)


def placebo(score: Score, references: References, is_member: np.ndarray) -> Outcome:
    """Every reference attacked by those outside its group, but labelled by the *target's* split, bool (n,).

    A reference drew its own half of members and non-members alike, so there is nothing to find: each AUC's
    interval has to cover 0.5 (in 95 of 100). If not, the target's members and non-members differ in
    themselves, and no attack's number is about membership alone.
    """
    is_member = _labels(is_member, references.n)
    scores = [scores_of_reference(score, references, j) for j in range(references.k)]
    return _outcome(scores, [is_member] * references.k)


def outcomes_by_epoch(
    phis: Mapping[int, np.ndarray],
    is_member: np.ndarray,
    targets: Iterable[int],
    score: Score = rmia,
    most: int | None = None,
) -> dict[int, dict[int, Outcome]]:
    """Target's epoch -> references' epoch -> what references of that epoch find in one of the target's epoch.

    most: how many of the references are attacked (None: all).

    `phis`: epoch -> confidences (k, n) of the same k references, whose memberships are `is_member` (k, n);
    each epoch is asked for twice and not kept, so that it can be read when it is asked for.
    The attacked reference is taken at the target's epoch, or at the nearest epoch there is (the earlier of
    two): for a target that trained longer than the references, their last. UserError names a faulty epoch.
    """
    if not phis:
        raise UserError("phis: got no epoch of the references, allowed: at least one")
    attacked = {epoch: _at(phis, is_member, epoch).phi[:most].copy() for epoch in sorted(phis)}
    targets, labels = list(targets), list(np.asarray(is_member))[:most]
    outcomes: dict[int, dict[int, Outcome]] = {nearest(phis, target): {} for target in targets}
    for other in sorted(phis):
        references = _at(phis, is_member, other)
        scores: dict[int, list[np.ndarray]] = {epoch: [] for epoch in outcomes}
        for j in range(len(labels)):
            attackers = references.without_group_of(j)
            for epoch, those in scores.items():
                those.append(score(attacked[epoch][j], attackers))
        for epoch, those in scores.items():
            outcomes[epoch][other] = _outcome(those, labels)
    return {target: outcomes[nearest(phis, target)] for target in targets}


def _at(phis: Mapping[int, np.ndarray], is_member: np.ndarray, epoch: int) -> References:
    """The references of one epoch; UserError that names it."""
    try:
        return References(phis[epoch], is_member)
    except UserError as error:
        raise UserError(f"epoch {epoch}: {error}") from None


def choose_epochs(
    phis: Mapping[int, np.ndarray], is_member: np.ndarray, targets: Iterable[int], score: Score = rmia
) -> dict[int, int]:
    """Target's epoch -> the references' epoch to attack it from, without any label of the target.

    The highest mean TPR at 1% FPR over the attacked references (`outcomes_by_epoch`); ties: the earliest
    epoch. At 0.1% the threshold hangs on a tenth of the false positives; the AUC is mostly about examples
    that no attack finds. TRIED references are attacked, since the time grows with their square.
    Where 1% of a reference's non-members are fewer than five, the AUC.
    """
    n_nonmember = int((~np.asarray(is_member)).sum(axis=1).min())
    measure = CHOSEN_BY if FPRS[CHOSEN_BY] * n_nonmember >= MIN_FALSE_POSITIVES else "auc"
    chosen = {}
    for target, outcomes in outcomes_by_epoch(phis, is_member, targets, score, TRIED).items():
        quality = {epoch: outcome.mean()[measure] for epoch, outcome in outcomes.items()}
        chosen[target] = max(quality, key=lambda epoch: (quality[epoch], -epoch))
    return chosen


def _outcome(scores: list[np.ndarray], labels: list[np.ndarray]) -> Outcome:
    """Measures of each attacked model's scores against its labels."""
    values, intervals, rates = [], [], []
    for model_scores, is_member in zip(scores, labels, strict=True):
        if is_member.all() or not is_member.any():
            raise UserError("is_member: got one side only, allowed: members and non-members")
        curve = roc_curve(model_scores[is_member], model_scores[~is_member])
        values.append(auc(curve))
        intervals.append(auc_interval(curve))
        rates.append([tpr_at_fpr(curve, f) if f * curve.n_nonmember >= 1 else np.nan for f in FPRS.values()])
    low, high = np.array(intervals).T
    return Outcome(np.array(values), low, high, np.array(rates))


def _labels(is_member: np.ndarray, n: int) -> np.ndarray:
    is_member = np.asarray(is_member)
    if is_member.shape != (n,) or is_member.dtype != bool:
        raise UserError(f"is_member: got {is_member.dtype} {is_member.shape}, allowed: bool ({n},)")
    return is_member
