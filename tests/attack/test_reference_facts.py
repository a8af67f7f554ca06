"""What reference models say of the members that another ranking names."""

import numpy as np
import pytest

from privacy_report.attack.reference_facts import TOP, agreement


def test_the_members_whose_losses_swing_most_are_the_top():
    """The references find those alone: all of the top, a fifth of all, and the most exposed swing most."""
    swing = np.arange(1.0, 5 * TOP + 1)
    losses = np.outer([0.0, 0.25, 0.5, 0.75, 1.0], swing)  # the interquartile range is swing / 2
    found_at_fpr = np.where(swing > 4 * TOP, 0.001, 0.5)
    facts = agreement(losses, found_at_fpr, exposure=swing**2)
    assert facts == {
        "top": TOP,
        "found_of_top": 1.0,
        "found_of_all": 0.2,
        "rank_correlation_with_exposure": pytest.approx(1.0),
    }


def test_of_losses_that_never_swing_no_correlation_is_said():
    facts = agreement(np.ones((3, 7)), np.full(7, 0.5), np.arange(7.0))
    assert facts == {"top": 7, "found_of_top": 0.0, "found_of_all": 0.0}
