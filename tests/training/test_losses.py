"""The losses of the library, by the papers' formulas: numbers worked out by hand, and slopes."""

import numpy as np
import pytest
import tensorflow as tf

from privacy_report.errors import UserError
from privacy_report.training import losses
from privacy_report.training.objective import cross_entropy

LN2 = 0.69314718
P = np.array([0.5, 0.375, 0.125])
"""Of one example, whose label is 0 unless a test says so: its cross-entropy is ln 2, its entropy 0.974."""


def of(loss, labels, logits, **settings):
    """Losses and slopes."""
    logits = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        values = loss(tf.constant(labels, tf.int32), logits, **settings)
    return values.numpy(), tape.gradient(values, logits).numpy()


@pytest.mark.parametrize(
    ("loss", "settings", "expected"),
    [
        # 0.9 ln 2 + 0.1 (0.693147 + 0.980829 + 2.079442) / 3
        (losses.label_smoothing, {"smoothing": 0.1}, 0.748946),
        # ln 2 - 0.2 (0.5 x 0.693147 + 0.375 x 0.980829 + 0.125 x 2.079442)
        (losses.confidence_penalty, {"beta": 0.2}, 0.498284),
        # (1 - 0.5)^2 ln 2, and (1 - 0.5)^0.5 ln 2
        (losses.focal_loss, {"gamma": 2.0}, 0.173287),
        (losses.focal_loss, {"gamma": 0.5}, 0.490129),
        # ln 2 is not below 0.6; below 0.7, t = (0.5, 0.25, 0.25) and (CE(t, p) - ln 2) / 2, with
        # CE(t, p) = 0.5 x 0.693147 + 0.25 (0.980829 + 2.079442) = 1.111641
        (losses.relax_loss, {"alpha": 0.6}, LN2),
        (losses.relax_loss, {"alpha": 0.7}, 0.209247),
    ],
)
def test_a_loss_is_the_papers_formula(loss, settings, expected):
    values, _ = of(loss, [0], [np.log(P)], **settings)
    assert values == pytest.approx([expected], abs=2e-6)
    moved, _ = of(loss, [0], [np.log(P) + 7], **settings)  # a softmax does not see it
    assert moved == pytest.approx([expected], abs=2e-6)


def smoothed(y, p):
    return 0.8 * -np.log(p[y]) - 0.2 * np.log(p).mean()


def penalised(y, p):
    return -np.log(p[y]) + 0.3 * (p * np.log(p)).sum()


def focal(y, p):
    return -((1 - p[y]) ** 1.5) * np.log(p[y])


@pytest.mark.parametrize(
    ("loss", "settings", "plain"),
    [
        (losses.label_smoothing, {"smoothing": 0.2}, smoothed),
        (losses.confidence_penalty, {"beta": 0.3}, penalised),
        (losses.focal_loss, {"gamma": 1.5}, focal),
    ],
)
def test_slopes_are_those_of_the_formula_by_finite_differences(loss, settings, plain):
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(4, size=6), 2 * rng.standard_normal((6, 4))

    def value(i, z):
        p = np.exp(z - z.max())
        return plain(labels[i], p / p.sum())

    step = 1e-5 * np.eye(4)
    expected = [[(value(i, z + d) - value(i, z - d)) / 2e-5 for d in step] for i, z in enumerate(logits)]
    np.testing.assert_allclose(of(loss, labels, logits, **settings)[1], expected, atol=2e-5)


@pytest.mark.parametrize(
    ("loss", "settings"),
    [
        (losses.label_smoothing, {"smoothing": 0}),
        (losses.confidence_penalty, {"beta": 0}),
        (losses.focal_loss, {"gamma": 0}),
        (losses.relax_loss, {"alpha": 0}),
    ],
)
def test_without_its_part_each_is_cross_entropy(loss, settings):
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(5, size=9), 20 * rng.standard_normal((9, 5))
    for ours, theirs in zip(
        of(loss, labels, logits, **settings), of(cross_entropy, labels, logits), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_relax_loss_descends_from_alpha_on_and_flattens_below_it_example_by_example():
    """Slopes (y - t) / 2 below alpha: what differs from the source is that each example has its own side."""
    values, slopes = of(losses.relax_loss, [0, 2], [np.log(P), np.log(P)], alpha=1.0)
    assert values == pytest.approx([0.209247, 3 * LN2], abs=2e-6)
    np.testing.assert_allclose(slopes, [[0.25, -0.125, -0.125], [0.5, 0.375, 0.125 - 1]], atol=1e-6)


def test_the_slope_below_alpha_is_the_mean_of_two_epochs_of_the_source():
    """Of one example: in the one it climbs the cross-entropy, in the other it descends that of t."""
    _, slopes = of(losses.relax_loss, [0], [np.log(P)], alpha=1.0)
    up = -(P - [1, 0, 0])
    flat = P - np.array([0.5, 0.25, 0.25])
    np.testing.assert_allclose(slopes[0], (up + flat) / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "settings"),
    [
        (losses.label_smoothing, {"smoothing": 1.0}),
        (losses.confidence_penalty, {"beta": -0.1}),
        (losses.focal_loss, {"gamma": float("nan")}),
        (losses.relax_loss, {"alpha": -1}),
    ],
)
def test_an_impossible_setting_is_named(loss, settings):
    with pytest.raises(UserError, match=f"^{next(iter(settings))}: got "):
        of(loss, [0], [[0.0, 1.0]], **settings)


@pytest.mark.parametrize("margin", [30.0, 200.0])
@pytest.mark.parametrize("loss", [losses.focal_loss, losses.relax_loss, losses.confidence_penalty])
def test_certain_outputs_have_finite_losses_and_slopes(loss, margin):
    both = of(loss, [0, 1], [[margin, 0.0, 0.0]] * 2)
    assert all(np.isfinite(array).all() for array in both)
    _, steep = of(losses.focal_loss, [0, 1], [[margin, 0.0, 0.0]] * 2, gamma=0.5)
    assert np.isfinite(steep).all()
