"""Gradient canaries: drawn as examples are, one coordinate each, scored in every step, resumed to the bit."""

from dataclasses import replace

import numpy as np
import pytest
from small import small_cnn

from privacy_report.attack.one_run import one_run
from privacy_report.datasets.canary_draw import coins, drawn
from privacy_report.datasets.canary_params import CanaryParams
from privacy_report.datasets.prepared import Prepared
from privacy_report.errors import UserError
from privacy_report.training.data import Data
from privacy_report.training.job import NOWHERE
from privacy_report.training.plan import job_of
from privacy_report.training.private_arrays import COINS, SCORES
from privacy_report.training.schema import Privacy, Variant
from privacy_report.training.target import trainer_of

N, BATCH, NOISE, CLIP, M = 240, 20, 1.0, 0.5, 200
CONFIG = Variant(
    label="V",
    model=small_cnn(num_conv=1, filters=4, dense_units=8, activation="tanh"),
    batch_size=BATCH,
    privacy=Privacy(noise_multiplier=NOISE, delta=1e-4, l2_norm_clip=CLIP),
    canaries=CanaryParams(M, "gradient", seed=3),
)


def job(config=CONFIG, name="v"):
    return replace(job_of(name, config, NOWHERE), config=config)


def data():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 8, 8, 1), np.uint8)
    return Data(images, np.arange(300) % 3, np.arange(N), np.arange(N, 300), 3)


@pytest.fixture(scope="module")
def whole():
    """A trainer after three epochs, and the state after each."""
    trainer = trainer_of(job(), data())
    return trainer, [trainer.run(epoch) for epoch in (1, 2, 3)]


def simulated(steps, q, noise, seed, m=M):
    """Scores and coins of canaries without any model: what the page of simulations computes."""
    rng = np.random.default_rng(seed)
    coin, score = rng.random(m) < 0.5, np.zeros(m)
    for _ in range(steps):
        x = (rng.random(m) < q) * coin + noise * rng.standard_normal(m)
        score += np.log(1 - q + q * np.exp((x - 0.5) / noise**2))
    return score, coin


def test_scores_have_the_law_of_the_simulation(whole):
    """In and out alike: mean and spread, over the 200 canaries of a model and 20 runs of 200 without one."""
    arrays = whole[0].regime.arrays()
    runs = [simulated(3 * N // BATCH, BATCH / N, NOISE, seed) for seed in range(20)]
    score, coin = (np.concatenate(kind) for kind in zip(*runs, strict=True))
    for side in (True, False):
        ours, theirs = arrays[SCORES][arrays[COINS] == side], score[coin == side]
        assert ours.mean() == pytest.approx(theirs.mean(), abs=4 * theirs.std() / np.sqrt(len(ours)))
        assert ours.std() == pytest.approx(theirs.std(), rel=0.25)
    assert one_run(arrays[SCORES], arrays[COINS], 1e-4, 40).correct > 20


def test_a_step_gets_the_clip_at_the_coordinates_that_are_drawn_and_in():
    regime = trainer_of(job(), data()).regime
    canaries = regime._canaries
    regime.batches(1)
    in_and_drawn = canaries._drawn.numpy()
    assert not in_and_drawn[:, ~canaries.is_member].any()
    assert in_and_drawn[:, canaries.is_member].mean() == pytest.approx(BATCH / N, abs=0.03)
    flat = np.concatenate([np.ravel(addend) for addend in canaries.added()])
    expected = np.zeros(len(flat))
    expected[canaries.coordinates[in_and_drawn[0] > 0]] = CLIP
    np.testing.assert_array_equal(flat, expected)
    assert len(set(canaries.coordinates)) == M


def test_coins_are_those_of_other_kinds():
    examples = Prepared(
        np.zeros((300, 2, 2, 1), np.uint8),
        np.zeros(300, int),
        np.arange(240),
        np.arange(60),
        {"n_classes": 3},
    )
    np.testing.assert_array_equal(
        drawn(examples, CanaryParams(M, "natural", seed=3)).is_member, coins(CONFIG.canaries)
    )


def test_a_twin_draws_the_batches_of_its_variant_and_other_canaries_in_every_epoch():
    twin, variant = (
        trainer_of(job(config), data()).regime for config in (CONFIG, replace(CONFIG, canaries=None))
    )
    draws = []
    for epoch in (1, 2):
        for ours, theirs in zip(twin.batches(epoch), variant.batches(epoch), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        draws.append(twin._canaries._drawn.numpy())
    assert (draws[0] != draws[1]).any()


def test_a_resumed_run_ends_in_the_same_bytes(whole):
    states = whole[1]
    resumed = trainer_of(job(), data())  # as in a process of its own, with what epoch 1 left
    resumed.restore(states[0])
    again = [resumed.run(epoch) for epoch in (2, 3)][-1]
    assert set(again) == set(states[-1]) > {SCORES, COINS}
    for name, value in states[-1].items():
        np.testing.assert_array_equal(value, again[name])
    assert not np.array_equal(states[0][SCORES], states[1][SCORES])


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="without a section privacy"):
        replace(CONFIG, privacy=None)
    with pytest.raises(UserError, match="gradient"):
        CanaryParams(100, "odd")
    with pytest.raises(UserError, match="at least 10"):
        CanaryParams(5, "gradient")
    many = replace(CONFIG, canaries=CanaryParams(5_000, "gradient"))
    with pytest.raises(UserError, match=r"at most \d+, the weights"):
        trainer_of(job(many), data())
    assert (
        trainer_of(job(replace(CONFIG, canaries=CanaryParams(20, "natural"))), data()).regime._canaries
        is None
    )
