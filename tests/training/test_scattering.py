"""Scattering against its definition by Fourier transforms, and as the front of a private model."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from small import make_trainer

from privacy_report.errors import UserError
from privacy_report.pipeline.component import Component
from privacy_report.training import models, scattering
from privacy_report.training import private_gradient as private
from privacy_report.training.data import Data
from privacy_report.training.schema import Privacy, Variant

ANGLES = 3
RNG = np.random.default_rng(0)
PHOTOS = RNG.random((3, 16, 24, 2), np.float32)


def gaussian(spread):
    """(n, n) with a sum of 1, cut at three standard deviations."""
    reach = math.ceil(3 * spread)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    weights = np.exp(-(x**2 + y**2) / (2 * spread**2))
    return weights / weights.sum()


def convolved(image, kernel):
    """The convolution (H, W) of an image that goes on as in a mirror, by Fourier transforms."""
    reach = len(kernel) // 2
    mirrored = np.pad(image.astype(np.float64), reach, mode="symmetric")
    shape = [side + 2 * reach for side in mirrored.shape]
    product = np.fft.fft2(mirrored, shape) * np.fft.fft2(kernel, shape)
    inner = [slice(2 * reach, 2 * reach + side) for side in image.shape]
    return np.fft.ifft2(product)[tuple(inner)]


def coefficients(image, scales, angles):
    """By order and scale, of one channel: {(): one average, (j,): one per angle, (j, k): for pairs}."""
    by_scales = {}

    def average(values, sampled):
        kernel = gaussian(0.8 * 2 ** (scales - 1 - sampled))
        step = 2 ** (scales - sampled)
        return convolved(values, kernel).real[::step, ::step]

    def modulus(values, j, a):
        return np.abs(convolved(values, scattering.morlet(j, math.pi * a / angles)))[:: 2**j, :: 2**j]

    by_scales[()] = [average(image, 0)]
    for j, a in itertools.product(range(scales), range(angles)):
        first = modulus(image, j, a)
        by_scales.setdefault((j,), []).append(average(first, j))
        for k, b in itertools.product(range(j + 1, scales), range(angles)):
            by_scales.setdefault((j, k), []).append(average(modulus(first, k - j, b), k))
    return by_scales


def normalised(image, scales, angles):
    """The front's output for one example (H, W, C), as its docstring defines it."""
    channels = [coefficients(image[..., c], scales, angles) for c in range(image.shape[-1])]
    parts = []
    for key in sorted(channels[0]):
        values = np.stack([plane for channel in channels for plane in channel[key]], -1)
        values = np.sqrt(values) if key else values
        parts.append((values - values.mean()) / np.sqrt(values.var() + scattering.TINY))
    return np.concatenate(parts, -1)


@pytest.mark.parametrize("scales", [1, 2])
def test_coefficients_are_those_of_the_definition(scales):
    front = scattering.scattering(PHOTOS.shape[1:], scales, ANGLES)
    ours = front(PHOTOS).numpy()
    paths = 1 + scales * ANGLES + scales * (scales - 1) // 2 * ANGLES**2
    assert ours.shape == (3, 16 // 2**scales, 24 // 2**scales, 2 * paths)
    for image, output in zip(PHOTOS, ours, strict=True):
        np.testing.assert_allclose(output, normalised(image, scales, ANGLES), atol=2e-4)


def test_three_scales_give_all_pairs_of_scales_in_order():
    image = RNG.random((32, 32, 1), np.float32)
    ours = scattering.scattering(image.shape, 3, 2)(image[None]).numpy()[0]
    np.testing.assert_allclose(ours, normalised(image, 3, 2), atol=2e-4)


def test_wavelets_have_the_spectrum_of_the_formula():
    """exp(-s^2 |w - xi|^2 / 2) in the wave's own axes, less what makes it 0 at frequency 0."""
    size = 64
    frequency = 2 * math.pi * np.fft.fftfreq(size)
    wy, wx = np.meshgrid(frequency, frequency, indexing="ij")
    for j, angle in itertools.product((0, 1), (0.0, 0.7, 2.5)):
        along, across = (
            wx * math.cos(angle) + wy * math.sin(angle),
            wy * math.cos(angle) - wx * math.sin(angle),
        )
        spread = 0.8 * 2**j

        def envelope(shift, along=along, across=across, spread=spread):
            return np.exp(-(spread**2) * ((along - shift) ** 2 + 4 * across**2) / 2)

        peak = 3 * math.pi / 4 / 2**j
        expected = envelope(peak) - math.exp(-((spread * peak) ** 2) / 2) * envelope(0)
        if j == 0:  # the finest one's spectrum goes beyond the sampling's highest frequency, and comes back
            expected[(np.abs(along) > 2.2) | (np.abs(across) > 1.5) | (along < -0.8)] = np.nan
        wave = scattering.morlet(j, angle)
        place = -(len(wave) // 2) * (wy + wx)
        spectrum = np.fft.fft2(wave, (size, size)) * np.exp(-1j * place)
        assert np.nanmax(np.abs(spectrum - expected)) < 0.06
        assert abs(wave.sum()) < 1e-12


@pytest.mark.parametrize("scales", [1, 2])
def test_no_energy_is_added_at_any_frequency(scales):
    """Littlewood-Paley: averages and wavelets of a real image together keep at most its energy."""
    size = 128

    def energy(kernel):
        return np.abs(np.fft.fft2(kernel, (size, size))) ** 2

    total = energy(gaussian(0.8 * 2 ** (scales - 1)))
    for j, a in itertools.product(range(scales), range(8)):
        power = energy(scattering.morlet(j, math.pi * a / 8))
        total += (power + np.roll(power[::-1, ::-1], (1, 1), (0, 1))) / 2
    assert total.max() <= 1 + 1e-9
    assert total[0, 0] == pytest.approx(1)


def test_small_shifts_change_little_and_a_whole_step_moves_the_places():
    big = RNG.random((5, 32, 32 + 4, 1), np.float32)
    front = scattering.scattering((32, 32, 1))

    def of(shift):
        return front(big[:, :, shift : shift + 32]).numpy()

    def change(a, b):
        return np.linalg.norm(a - b) / np.linalg.norm(a)

    pixels = change(big[:, :, :32] - 0.5, big[:, :, 1:33] - 0.5)
    assert pixels > 1.3
    assert change(of(0), of(1)) < 0.45 * pixels
    assert change(of(0)[:, :, 3:-2], of(4)[:, :, 2:-3]) < 0.1  # away from the edges


def test_a_flat_image_has_coefficients_of_zero():
    outputs = scattering.scattering((16, 16, 1))(np.full((1, 16, 16, 1), 0.7, np.float32)).numpy()
    np.testing.assert_allclose(outputs, 0, atol=0.1)


MODELS = {
    "linear": Component("privacy_report.training.scattering.scatter_linear", {"angles": 2}),
    "cnn": Component("privacy_report.training.scattering.scatter_cnn", {"angles": 2, "filters": [3]}),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_private_epoch_trains_the_head_alone_by_explicit_gradients(name):
    images = (PHOTOS[RNG.integers(0, 3, 40)] * 255).astype(np.uint8)
    data = Data(images, RNG.integers(0, 3, 40), np.arange(30), np.arange(30, 40), 3)
    privacy = Privacy(noise_multiplier=1.0, delta=1e-3)
    trainer = make_trainer(
        "v", Variant("V", MODELS[name], 10, epochs=1, epochs_per_report=1, privacy=privacy), data
    )
    assert private.accept(trainer.model) is None
    before = [value.copy() for value in trainer.model.get_weights()]
    trainer.run(1)
    learning = {id(weight) for weight in trainer.model.trainable_weights}
    assert len(learning) == 2 * (1 + (name == "cnn"))
    for weight, old in zip(trainer.model.weights, before, strict=True):
        assert np.array_equal(weight.numpy(), old) == (id(weight) not in learning)


@pytest.mark.parametrize("name", MODELS)
def test_clipped_sums_are_those_of_a_tape_an_example(name):
    model = models.build(MODELS[name], PHOTOS.shape[1:], 3, seed=0)
    labels = np.array([0, 2, 1], np.int32)
    expected = 0.0
    for image, label in zip(PHOTOS, labels, strict=True):
        with tf.GradientTape() as tape:
            logits = model(image[None])
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits([label], logits)
        row = np.concatenate(
            [np.ravel(gradient) for gradient in tape.gradient(loss, model.trainable_variables)]
        )
        expected += row * min(1, 0.5 / np.linalg.norm(row))
    sums = private.clipped_sum(model, tf.constant(PHOTOS), tf.constant(labels), 0.5).sums
    np.testing.assert_allclose(
        np.concatenate([np.ravel(total) for total in sums]), expected, rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((32, 32, 3), {"scales": 5}, r"scales: got 5, allowed: 1\.\.4 for images of 32 x 32"),
        ((32, 31, 3), {}, r"scales: got 2, allowed: 1\.\.0 for images of 32 x 31"),
        ((32, 32, 3), {"angles": 0}, "angles: got 0"),
        ((7,), {}, r"scattering is for images"),
    ],
)
def test_what_cannot_be_scattered_is_refused_in_one_line(shape, settings, message):
    with pytest.raises(UserError, match=message):
        scattering.scattering(shape, **settings)
