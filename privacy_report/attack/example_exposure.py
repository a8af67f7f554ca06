"""How exposed single examples are: by the way of training, and in one target."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from privacy_report.attack import signals
from privacy_report.attack.evidence import ReferenceFiles
from privacy_report.attack.reference_scores import rmia, spreads
from privacy_report.attack.references import References, TooFewError
from privacy_report.attack.signals import Examples
from privacy_report.errors import UserError
from privacy_report.pipeline.digests import Arrays
from privacy_report.pipeline.outputs import read_outputs


def of_members(outputs: Path, trains: Path, phi: Path, excluded: tuple[int, ...] = ()) -> Arrays:
    """Of each member of a score file: `exposure` and `found_at_fpr` by `rmia`, float (n_member,).

    trains, phi: files of the references that it is attacked from; excluded: rows of non-members that take no
    part. NaN for the exposure where there are too few references for a spread.
    """
    examples, references = signals.pool(read_outputs(outputs)), ReferenceFiles(trains, {0: phi}).at(0)
    if excluded:
        kept = np.flatnonzero(signals.taking_part(examples.is_member, excluded))
        examples, references = examples.take(kept), references.take(kept)
    return of_examples(examples, references)


def of_examples(examples: Examples, references: References) -> Arrays:
    """The same of examples in memory."""
    fpr = found_at_fpr(rmia(examples.phi, references), examples.is_member)
    try:
        exposed = exposure(references)
    except TooFewError:
        exposed = np.full(len(fpr), np.nan)
    return {"exposure": exposed[examples.is_member], "found_at_fpr": fpr[examples.is_member]}


def exposure(references: References) -> np.ndarray:
    """d = |mu_in - mu_out| / (s_in + s_out) of each example, float (n,): a property of example and recipe.

    s_in and s_out are the fixed spreads that all examples share. NaN for an example without a reference on
    one side. UserError where no example has two IN or two OUT references: there is no spread then.
    Source: Carlini et al. 2022 (arXiv 2112.03570), section VII-B.

    A spread per example would have three degrees of freedom at 8 references, and the top of the ranking would
    be the examples whose references agree by luck. Even so d is noisy and never 0: see `exposure_error`.
    """
    s_in, s_out = known_spreads(references)
    return np.abs(references.inside.mean - references.outside.mean) / (s_in + s_out)


def exposure_error(references: References) -> np.ndarray:
    """Standard error of (mu_in - mu_out) / (s_in + s_out), float (n,): 0.35 with four references a side.

    An example that is not exposed at all has a d of 0.8 of it on average.
    """
    s_in, s_out = known_spreads(references)
    n_in, n_out = (
        np.where(side.count, side.count, np.nan) for side in (references.inside, references.outside)
    )
    return np.sqrt(s_in**2 / n_in + s_out**2 / n_out) / (s_in + s_out)


def known_spreads(references: References) -> tuple[float, float]:
    """`spreads`, or UserError where one of them would be a stand-in."""
    for side, name in ((references.inside, "IN"), (references.outside, "OUT")):
        if np.isnan(side.variance):
            raise TooFewError(f"exposure: got at most one {name} reference an example, allowed: two or more")
    return spreads(references)


def found_at_fpr(target_scores: np.ndarray, is_member: np.ndarray) -> np.ndarray:
    """The smallest FPR at which each example counts as a member: non-members that score at least as high.

    `target_scores` float (n,), `is_member` bool (n,); shares, float (n,). A non-member counts itself. 0 says
    that every non-member scores less; with m non-members no FPR below 1/m is told from it. UserError for
    other shapes, NaN, or no non-member.
    """
    scores, is_member = np.asarray(target_scores, np.float64), np.asarray(is_member)
    if scores.ndim != 1 or scores.shape != is_member.shape or is_member.dtype != bool:
        raise UserError(
            f"scores and is_member: got {scores.shape} and {is_member.dtype} {is_member.shape}, "
            "allowed: (n,) and bool (n,)"
        )
    if np.isnan(scores).any():
        raise UserError(
            f"scores: got NaN for example {np.flatnonzero(np.isnan(scores))[0]}, allowed: numbers"
        )
    if is_member.all():
        raise UserError("is_member: got no non-member, allowed: at least one")
    nonmembers = np.sort(scores[~is_member])
    return (len(nonmembers) - np.searchsorted(nonmembers, scores, side="left")) / len(nonmembers)
