"""Canaries: examples that are in the training set by a coin each. How they score, and what that bounds."""

from __future__ import annotations

import numpy as np

from privacy_report.attack.one_run import OneRun, one_run
from privacy_report.attack.reference_scores import rmia
from privacy_report.attack.signals import Examples, negative_loss

CALIBRATED, LOSS = "rmia", "threshold"
SHUFFLE = 0x63616E61
"""Of the order that breaks ties: any that does not come from the coins."""


def attack_of(examples: Examples) -> str:
    """The attack that guesses the coins, fixed beforehand: with references where there are any."""
    return LOSS if examples.references is None else CALIBRATED


def audit_coins(examples: Examples, delta: float, guesses: int | None = None) -> OneRun:
    """The one-run audit of a model's outputs on canaries, whose `is_member` are their coins.

    Their order may come from the coins, as in a file with members first: it is shuffled, so that ties tell
    nothing. UserError as `one_run`.
    """
    if attack_of(examples) == CALIBRATED:
        assert examples.references is not None
        scores = rmia(examples.phi, examples.references)
    else:
        scores = negative_loss(examples)
    order = np.random.default_rng(SHUFFLE).permutation(len(scores))
    return one_run(scores[order], examples.is_member[order], delta, guesses)
