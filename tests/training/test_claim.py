"""What a private run claims: the budget of its last epoch, and what that does not cover."""

import math

import pytest
from dp_accounting import dp_event, pld

from privacy_report.training import accounting
from privacy_report.training.claim import CHOICE, RUNNING, SEED, claim_of
from privacy_report.training.schema import Privacy, Variant

N, BATCH, NOISE = 1000, 50, 1.2


def variant(epochs=3, **privacy):
    chosen = Privacy(**({"noise_multiplier": NOISE, "delta": 1e-4, "l2_norm_clip": 0.5} | privacy))
    return Variant("V", batch_size=BATCH, epochs=epochs, epochs_per_report=2, privacy=chosen)


def history(epochs):
    """The rows that training leaves: 20 steps an epoch."""
    rows = []
    for epoch in range(1, epochs + 1):
        spent = accounting.spent_epsilon(NOISE, BATCH / N, 20 * epoch, 1e-4)
        rows.append({"epoch": epoch, "epsilon": spent.pld, "noise_multiplier": NOISE})
    return rows


def test_the_claim_is_that_of_all_steps_up_to_the_last_epoch_that_is_shown():
    """Recomputed from the numbers of the claim; epoch 3 has no checkpoint, and is in the curves."""
    claimed = claim_of(variant(), N, history(3))
    assert (claimed.epoch, claimed.compared, claimed.steps) == (3, (2,), 60)
    assert (claimed.delta, claimed.l2_norm_clip) == (1e-4, 0.5)
    step = dp_event.PoissonSampledDpEvent(
        claimed.sampling_probability, dp_event.GaussianDpEvent(claimed.noise_multiplier)
    )
    again = pld.PLDAccountant().compose(step, claimed.steps).get_epsilon(claimed.delta)
    assert claimed.epsilon == pytest.approx(again, rel=1e-3)
    assert claimed.epsilon > history(3)[1]["epsilon"]  # that of the last checkpoint alone


@pytest.mark.parametrize(
    ("privacy", "more"),
    [
        ({"seed": "secret"}, []),
        ({"seed": "committed"}, [SEED]),
        ({"seed": "secret", "keep_running": True}, [RUNNING]),
        ({"keep_running": True}, [RUNNING, SEED]),
    ],
)
def test_what_is_not_covered_follows_from_the_settings(privacy, more):
    phrases = claim_of(variant(**privacy), N, history(3)).not_covered
    assert CHOICE in phrases
    assert [phrase for phrase in phrases if phrase in (RUNNING, SEED)] == more


def test_an_ordinary_run_claims_nothing():
    row = {"epoch": 1, "epsilon": math.nan, "noise_multiplier": math.nan}
    assert claim_of(Variant("V"), N, [row]) is None
