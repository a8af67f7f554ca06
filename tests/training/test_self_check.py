"""The self-check of private training: silent on sound noise, loud on faults, about what is applied."""

import dataclasses
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from small import make_trainer, small_cnn

from benchmarks.faults import fault
from privacy_report.errors import UserError
from privacy_report.pipeline.component import Component
from privacy_report.training import private_gradient
from privacy_report.training.backend import tf
from privacy_report.training.data import Data
from privacy_report.training.private import Private
from privacy_report.training.private_arrays import FINGERPRINTS, P_VALUES
from privacy_report.training.sampling import poisson_batches, shuffled_batches
from privacy_report.training.schema import Privacy, Variant
from privacy_report.training.self_check import (
    CHECKS,
    LEVEL,
    Drawn,
    Seen,
    adjusted,
    checks,
    fingerprints,
    rounded,
)

STEPS, N, BATCH, DIMENSIONS, KEY = 12, 1200, 100, np.array([300, 20, 2000, 1]), b"key"


def drawn(seed=0, batches=poisson_batches):
    rows, sizes = (
        poisson_batches(seed, 1, N, BATCH, 300)
        if batches is poisson_batches
        else shuffled_batches(seed, "v", 1, N, BATCH)
    )
    return Drawn(rows, sizes, N, BATCH / N, sizes)


def seen(noise, sizes, **changes):
    """What would be seen of noise float (steps, d), computed apart from `watch`."""
    parts = np.split(noise, np.cumsum(DIMENSIONS)[:-1], axis=1)
    products = np.zeros((len(noise), 2))
    for step in range(1, len(noise)):
        products[step] = noise[step] @ noise[step - 1], noise[step] @ noise[0]
    pairs = []
    for first, second in pairwise(parts):
        k = min(first.shape[1], second.shape[1])
        a, b = first[:, :k].ravel(), second[:, :k].ravel()
        pairs.append([a @ b, a @ a, b @ b])
    observed = Seen(
        dimensions=DIMENSIONS,
        squares=np.stack([(values**2).sum(axis=1) for values in parts], axis=1),
        products=products,
        pairs=np.array(pairs),
        sizes=sizes,
        largest=np.ones(len(noise)),
        signs=noise[:, ::9] > 0,
        recomputed=1e-5,
    )
    return dataclasses.replace(observed, **changes)


def p_values(noise, given=None, before=None, **changes):
    given = given or drawn()
    observed = seen(noise, changes.pop("sizes", given.sizes), **changes)
    earlier = np.empty(0, np.uint64) if before is None else before
    return {check.name: check.p for check in checks(1, given, observed, earlier, fingerprints(observed, KEY))}


def normal(seed, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal((STEPS, DIMENSIONS.sum()))


def test_p_values_of_sound_noise_are_uniform_or_larger():
    runs = [p_values(normal(seed), drawn(seed)) for seed in range(400)]
    for name in CHECKS:
        p = np.array([run[name] for run in runs])
        assert ((p >= 0) & (p <= 1)).all()
        for level in (0.05, 0.25):  # 4 standard errors
            assert (p <= level).mean() <= level + 4 * np.sqrt(level * (1 - level) / len(p)), name
    exact = ("sampling examples", "divisor", "noise of the epoch")
    for name in exact:
        assert np.mean([run[name] for run in runs]) == pytest.approx(0.5, abs=0.08)


def faulty():
    rng, noise = np.random.default_rng(1), normal(0)
    reused = np.repeat(noise[:1], STEPS, axis=0)
    pair = noise.copy()
    pair[:, 300:320] = pair[:, :20]
    sizes = drawn().sizes
    partly = np.sqrt(0.96) * noise
    partly[1:] += 0.2 * noise[:-1]
    last = noise.copy()
    last[:, -1] = 0
    like_first = np.concatenate([noise[:1], 0.3 * noise[:1] + 0.954 * rng.standard_normal(noise[1:].shape)])
    one_step = noise.copy()
    one_step[3] *= 1.3
    return {
        "clipping": (noise, {"largest": np.full(STEPS, 1.00001)}),
        "recomputed": (noise, {"recomputed": 0.05}),
        "sampling sizes": (noise, {"given": drawn(batches=shuffled_batches)}),
        "sampling examples": (noise, {"given": drawn(batches=shuffled_batches)}),
        "repeated noise": (reused, {}),
        "noise of successive steps": (partly, {}),
        "noise and the first step's": (like_first, {}),
        "noise of different variables": (pair, {}),
        "divisor": (noise * BATCH / sizes[:, None], {}),
        "noise of a variable": (last, {}),
        "noise of the epoch": (0.9 * noise, {}),
        "noise of a step": (one_step, {}),
    }


@pytest.mark.parametrize("name", CHECKS)
def test_each_check_finds_what_it_is_for(name):
    noise, changes = faulty()[name]
    assert adjusted(1, p_values(noise, **changes)[name]) < LEVEL


def test_noise_of_an_earlier_epoch_is_found_and_a_hash_needs_its_key():
    old, new = (seen(normal(seed), drawn().sizes) for seed in (1, 2))
    before = fingerprints(old, KEY)
    assert p_values(normal(2), before=before)["repeated noise"] == 1
    mixed = normal(2)
    mixed[7] = 0.5 * normal(1)[4]
    assert p_values(mixed, before=before)["repeated noise"] < 1e-12
    assert not set(fingerprints(old, b"other")) & set(before)
    assert not set(fingerprints(new, KEY)) & set(before)


def test_batches_that_are_trained_are_those_that_were_drawn():
    given = drawn()
    larger = given.sizes + (np.arange(STEPS) == 3)
    assert p_values(normal(0), given, sizes=larger)["sampling sizes"] == 0
    assert p_values(normal(0)[1:], given, sizes=given.sizes[1:])["sampling sizes"] == 0
    for smaller in (given.sizes - 5, np.minimum(given.sizes, 95), np.zeros(STEPS, int)):
        assert p_values(normal(0), given, sizes=smaller)["sampling sizes"] == 0
        left_out = given._replace(handed=smaller)
        assert p_values(normal(0), left_out, sizes=smaller)["sampling sizes"] > 0.001


def test_the_correction_spends_the_level_once_over_all_epochs():
    spent = sum(1 / (adjusted(epoch, 1e-12) / 1e-12) for epoch in range(1, 200_000)) * len(CHECKS)
    assert spent == pytest.approx(1, abs=1e-4)
    assert np.isnan(adjusted(1, np.nan))
    assert [rounded(p) for p in (1.0, 0.3, 0.02, 0.0)] == pytest.approx([1, 0.1, 0.01, 0])


CONFIG = Variant(
    label="V",
    model=small_cnn(num_conv=1, filters=4, dense_units=8, activation="tanh"),
    batch_size=20,
    privacy=Privacy(noise_multiplier=1.0, delta=1e-4, l2_norm_clip=0.5),
)


def data():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 8, 8, 1), np.uint8)
    return Data(images, np.arange(300) % 3, np.arange(240), np.arange(240, 300), 3)


def trained(epochs, config=CONFIG):
    trainer = make_trainer("v", config, data())
    for epoch in range(1, epochs + 1):
        trainer.run(epoch)
    return trainer


def test_capped_batches_are_no_poisson_samples(monkeypatch):
    """A fault of other trainers: then another example decides whether one is in."""
    trainer = make_trainer("v", CONFIG, data())
    batches = trainer.regime.batches
    monkeypatch.setattr(
        trainer.regime, "batches", lambda epoch: (b := batches(epoch))._replace(sizes=np.minimum(b.sizes, 20))
    )
    with pytest.raises(UserError, match=r"are no Poisson samples .* \(self-check: sampling sizes\)$"):
        trainer.run(1)


def test_a_sound_trainer_passes_and_leaves_a_row_an_epoch():
    arrays = trained(6).regime.arrays()
    assert arrays[P_VALUES].shape == (6, len(CHECKS))
    assert arrays[FINGERPRINTS].shape == (6, 12)
    recomputed = np.flatnonzero(~np.isnan(arrays[P_VALUES][:, CHECKS.index("recomputed")]))
    assert recomputed.tolist() == [0, 5]
    assert (np.nan_to_num(arrays[P_VALUES], nan=1.0) >= 0.001).all()


@pytest.mark.parametrize(
    ("name", "epochs", "says"),
    [
        ("no clipping", 1, "clipping norm"),
        ("noise of 0.9", 1, "times the variance claimed"),
        ("the same noise in every epoch", 2, "the noise of another step"),
    ],
)
def test_a_fault_ends_the_run_with_one_line(name, epochs, says):
    with fault(name), pytest.raises(UserError, match=says) as caught:
        trained(epochs)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"v, epoch {epochs}: ")


@pytest.mark.parametrize("what", ["no noise", "the drawn batch size as divisor"])
def test_what_changes_a_gradient_on_its_way_to_the_optimizer_is_found(what):
    sound = Private.gradient

    def changed(self, model, loss):
        work = sound(self, model, loss)

        def step(images, labels, seed):
            gradients, losses, logits = work(images, labels, seed)
            if what == "no noise":
                gradients = [total / self.batch_size for total in self._step.sums]
            else:
                drawn = tf.cast(tf.maximum(tf.shape(images)[0], 1), tf.float32)
                gradients = [gradient * (self.batch_size / drawn) for gradient in gradients]
            return gradients, losses, logits

        return step

    with mock.patch.object(Private, "gradient", changed), pytest.raises(UserError, match="self-check: "):
        trained(2)


def test_what_no_example_gave_is_found_in_the_sum():
    sound = private_gradient.gradient

    def changed(model, clip, noise, size, added, watch, loss):
        assert added is None
        extra = [tf.fill(v.shape, 0.05) for v in model.trainable_variables]
        return sound(model, clip, noise, size, lambda: extra, watch, loss)

    with (
        mock.patch.object(private_gradient, "gradient", changed),
        pytest.raises(UserError, match=r"self-check: recomputed"),
    ):
        trained(1)


def test_the_noise_that_is_checked_is_what_moved_the_weights():
    """One step of plain descent; the sum of the examples comes from the path that recomputes it."""
    config = dataclasses.replace(
        CONFIG, batch_size=240, learning_rate=1.0, optimizer=Component("keras.optimizers.SGD")
    )
    trainer = make_trainer("v", config, data())
    before = [v.numpy() for v in trainer.model.trainable_variables]
    trainer.run(1)
    after = [v.numpy() for v in trainer.model.trainable_variables]
    step = np.concatenate([(a - b).ravel() for a, b in zip(before, after, strict=True)])
    watch = trainer.regime._watch
    seen = watch.seen()
    noise = (step * 240 - watch.single_gradients_sum()) / 0.5
    assert seen.squares.sum() == pytest.approx(noise @ noise, rel=1e-3)
    assert seen.recomputed < 1e-4
    for kept, now in zip(after, trainer.model.trainable_variables, strict=True):
        np.testing.assert_array_equal(kept, now)  # the recomputation put the weights back


def test_a_step_of_a_model_that_draws_random_numbers_is_not_recomputed():
    config = dataclasses.replace(CONFIG, model=Component("own_nets.with_dropout"))
    trainer = make_trainer("v", config, data())
    trainer.run(1)
    assert np.isnan(trainer.regime.arrays()[P_VALUES][0, CHECKS.index("recomputed")])
