"""Attacks on what a service returns when it does not return everything: digits, the top class, or a label.

An attacker sees an array (n,) of each example, and compares it with reference models as `rmia` does; what
those return nobody restricts. Scores are float64 (n,), higher = more likely a member.
"""

from __future__ import annotations

import numpy as np

from privacy_report.attack import rowwise
from privacy_report.attack.confidence import mean_doubt
from privacy_report.attack.references import References, TooFewError
from privacy_report.attack.signals import Examples
from privacy_report.errors import UserError

DIGITS = (2, 1)
STEP = float(np.finfo(np.float32).epsneg)
"""The smallest difference of a probability from 1 that a float32 has."""
LEAST = float(np.finfo(np.float32).tiny)
SURE = 1e-15
"""The smallest mean probability that its complement keeps."""


def log_p(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What four releases say of log p of the label, float64 (n, 4), as a row function (`rowwise`).

    Of float32 probabilities; of those rounded to two digits, and to one, where what rounds to 0 (or 1) is
    taken for the middle of all that does; of the largest with its label, where the others share the rest
    equally.
    """
    rows, at = rowwise.ordered(logits, labels)
    p = rowwise.softmax(rows).astype(np.float32).astype(np.float64)
    every = np.arange(len(p))
    own, top = p[every, at], p[:, -1]
    others = p.copy()
    others[every, at] = 0.0
    near_one = np.log1p(-np.minimum(others.sum(axis=1), 0.5))  # p itself has lost the digits of 1 - p
    columns = [np.where(own > 0.5, near_one, np.log(np.maximum(own, LEAST)))]
    for digits in DIGITS:
        middle = 10.0**-digits / 4
        columns.append(np.log(np.clip(np.round(own, digits), middle, 1 - middle)))
    rest = np.maximum(1 - top, STEP / 2) / (p.shape[1] - 1)
    columns.append(np.log(np.where(rowwise.correct(logits, labels), top, rest)))
    return np.column_stack(columns)


def probabilities(examples: Examples) -> np.ndarray:
    """log p, of float32 probabilities."""
    return examples.by_row(log_p)[:, 0]


def rounded_2(examples: Examples) -> np.ndarray:
    """log p, of probabilities of two digits."""
    return examples.by_row(log_p)[:, 1]


def rounded_1(examples: Examples) -> np.ndarray:
    """log p, of probabilities of one digit."""
    return examples.by_row(log_p)[:, 2]


def top(examples: Examples) -> np.ndarray:
    """log p, of the largest probability and its label."""
    return examples.by_row(log_p)[:, 3]


def label(examples: Examples) -> np.ndarray:
    """Whether the returned label is the example's: 1.0 or 0.0."""
    return examples.correct.astype(np.float64)


def alone(seen: np.ndarray) -> np.ndarray:
    """What is seen, as it is. Of labels this is the gap attack (Yeom et al. 2018, arXiv 1709.01604)."""
    return seen


def rmia(seen: np.ndarray, references: References) -> np.ndarray:
    """log p minus the log of its mean over all references; see `reference_scores.rmia`."""
    return seen - references.log_mean


def label_reference(seen: np.ndarray, references: References) -> np.ndarray:
    """log likelihood ratio of a right, or a wrong, label between references that are IN and that are OUT.

    A model gives the right label with probability mean p of its side's references. Of an example without IN,
    or without OUT, references nothing is known: 0.
    """
    require_same_examples(seen, references)
    if not references.is_member.any() or references.is_member.all():
        raise TooFewError("label_reference: got references of one side, allowed: both IN and OUT")
    inside, outside = (
        mean_doubt(references.phi, side) for side in (references.is_member, ~references.is_member)
    )
    chances = [np.where(seen > 0, 1 - doubt, doubt) for doubt in (inside, outside)]
    inside, outside = (np.log(np.maximum(chance, SURE)) for chance in chances)  # NaN where there is none
    return np.nan_to_num(inside - outside, nan=0.0)


def label_reference_offline(seen: np.ndarray, references: References) -> np.ndarray:
    """1 - mean p of the OUT references where the label is right, 0 where it is wrong: one-sided.

    To be right is surprising of an example that models which did not train on it get wrong. UserError for an
    example without an OUT reference.
    """
    require_same_examples(seen, references)
    references.require_outside("label_reference_offline")
    return seen * mean_doubt(references.phi, ~references.is_member)


def require_same_examples(seen: np.ndarray, references: References) -> None:
    """UserError unless what is seen is of the references' examples."""
    if seen.shape != (references.n,):
        raise UserError(f"labels: got shape {seen.shape}, allowed: ({references.n},), as each reference has")
