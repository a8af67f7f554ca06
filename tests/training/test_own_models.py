"""Models, optimizers and schedules of a user's own: trained, resumed to the bit, scored, or refused."""

import keras
import numpy as np
import pytest
from small import make_trainer, small_cnn

from privacy_report.datasets import digits
from privacy_report.datasets.prepared import Prepared
from privacy_report.errors import UserError
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.files import read_arrays, write_arrays
from privacy_report.training import models
from privacy_report.training.data import Data
from privacy_report.training.optimizers import build
from privacy_report.training.schema import Privacy, Variant
from privacy_report.training.scoring import Scorer

RESIDUAL = Component("nets.residual.residual_network", {"widths": [4, 8]})
PERCEPTRON = Component("nets.perceptron.perceptron", {"units": [8], "dropout": 0.2})
OWN_LAYER = Component("own_nets.with_own_layer", {"width": 4})
SUBCLASSED = Component("own_nets.Subclassed", {"width": 6})
WITHOUT_INPUT = Component("own_nets.without_input")
MODELS = [RESIDUAL, PERCEPTRON, OWN_LAYER, SUBCLASSED, WITHOUT_INPUT]
COSINE = Component("keras.optimizers.schedules.CosineDecay", {"decay_steps": 15})
SGD = Component("keras.optimizers.SGD", {"momentum": 0.9})
NADAM = Component("keras.optimizers.Nadam")


@pytest.fixture(scope="module")
def data() -> Data:
    """The first digits, 16 x 16."""
    examples = digits.load()
    images = np.ascontiguousarray(examples.images[:400, ::2, ::2])
    return Data(images, examples.labels[:400], np.arange(250), np.arange(250, 400), 10)


def variant(**changes) -> Variant:
    return Variant(**{"label": "V", "epochs": 3, "epochs_per_report": 1, **changes})


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(a[key].tobytes() == b[key].tobytes() for key in a)


def vectors(data: Data) -> Data:
    rows = (data.images.reshape(len(data.images), -1)[:, ::16] / 16).astype(np.float32)
    return Data(rows, data.labels, data.train, data.validation, 10)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.path)
def test_resumed_epochs_are_bit_identical_and_scores_are_those_of_inference(model, data, tmp_path):
    """Averages of BatchNormalization, generators of Dropout and RandomFlip, momentum, schedule included."""
    if model is PERCEPTRON:
        data = vectors(data)
    config = variant(model=model, optimizer=SGD, learning_rate=0.05, schedule=COSINE)
    straight = make_trainer("v", config, data)
    write_arrays(tmp_path / "1.npz", straight.run(1))
    expected = [straight.run(epoch) for epoch in (2, 3)]
    resumed = make_trainer("v", config, data)
    resumed.restore(read_arrays(tmp_path / "1.npz"))
    got = [resumed.run(epoch) for epoch in (2, 3)]
    assert all(same(a, b) for a, b in zip(expected, got, strict=True))
    assert not same(*expected)
    assert float(expected[-1]["history/running_loss"]) < 2.4
    examples = Prepared(data.images, data.labels, data.train, data.validation, {"n_classes": 10})
    scores = Scorer(model, examples).score(expected[-1], "1.npz")
    plain = straight.model(as_input(data.images[data.validation]), training=False)
    np.testing.assert_allclose(scores["nonmember_logits"], plain, atol=1e-5)
    accuracy = (scores["nonmember_logits"].argmax(axis=1) == data.labels[data.validation]).mean()
    assert accuracy == float(expected[-1]["history/val_accuracy"])


def as_input(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / 255 if images.dtype == np.uint8 else images


@pytest.mark.parametrize(
    "optimizer", [NADAM, Component("keras.optimizers.Lion")], ids=lambda component: component.path
)
def test_other_optimizers_resume_bit_exactly(optimizer, data):
    config = variant(model=PERCEPTRON, optimizer=optimizer)
    straight, resumed = make_trainer("v", config, data), make_trainer("v", config, data)
    resumed.restore(straight.run(1))
    assert same(straight.run(2), resumed.run(2))


def test_a_model_of_ones_own_trains_privately(data):
    config = variant(model=Component("own_nets.alone"), privacy=Privacy(noise_multiplier=1.0))
    assert float(make_trainer("v", config, data).run(1)["history/epsilon"]) > 0
    with pytest.raises(UserError, match="BatchNormalization mixes"):
        make_trainer("v", variant(model=RESIDUAL, privacy=Privacy(noise_multiplier=1.0)), data)


def test_names_and_weights_do_not_depend_on_models_built_before():
    first = models.build(OWN_LAYER, (16, 16, 1), 10, 1)
    models.build(RESIDUAL, (16, 16, 1), 10, 2)
    second = models.build(OWN_LAYER, (16, 16, 1), 10, 1)
    assert first.to_json() == second.to_json()
    for a, b in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("path", "settings", "words"),
    [
        ("no_such_nets.f", {}, r"model\.path: cannot import no_such_nets\.f: ModuleNotFoundError"),
        ("own_nets.f", {}, r"model\.path: own_nets has no 'f'"),
        ("own_nets.NUMBER", {}, r"model\.path: own_nets\.NUMBER is no function or class"),
        ("own_nets.takes_one", {}, r"own_nets\.takes_one must take 2 positional arguments, it takes shape"),
        ("own_nets.with_own_layer", {}, r"model\.settings: width is missing"),
        ("own_nets.with_own_layer", {"width": 2, "depth": 2}, r"settings: got 'depth', allowed: width"),
        ("own_nets.raises", {}, r"own_nets\.raises raises KeyError: 'a bug\\nof two lines'"),
        ("own_nets.raises_later", {}, r"its model cannot be used \(AttributeError"),
        ("own_nets.no_model", {}, r"own_nets\.no_model gives a list, allowed: a keras\.Model"),
        ("own_nets.probabilities", {}, r"gives a model of probabilities, allowed: logits"),
        ("own_nets.narrow", {}, r"gives a model of outputs \(9,\), allowed: \(10,\)"),
        ("own_nets.two_outputs", {}, r"1 inputs and 2 outputs, allowed: one each"),
        ("own_nets.of_vectors", {}, r"gives a model of inputs \(7,\), the data have \(16, 16, 1\)"),
        ("own_nets.of_bytes", {}, r"gives a model of uint8 inputs, allowed: float32"),
        ("own_nets.nan_weights", {}, r"outputs are NaN or infinite before it is trained"),
        ("privacy_report.training.models.small_cnn", {"num_conv": 9}, r"model\.settings: num_conv: got 9"),
    ],
)
def test_what_is_no_model_of_logits_is_refused_in_one_line(path, settings, words):
    with pytest.raises(UserError, match=words) as error:
        models.build(Component(path, settings), (16, 16, 1), 10, 1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"optimizer": Component("keras.optimizers.Adamm")},
            "optimizer.path: keras.optimizers has no 'Adamm'",
        ),
        ({"optimizer": Component("keras.layers.ReLU")}, "optimizer.path: keras.layers.ReLU gives a ReLU"),
        (
            {"optimizer": Component("keras.optimizers.Adam", {"beta": 1})},
            "optimizer.path: .* raises ValueError",
        ),
        ({"optimizer": Component("keras.optimizers.Adam", {"use_ema": True})}, "optimizer.settings: use_ema"),
        (
            {"optimizer": Component("keras.optimizers.Adam", {"learning_rate": 0.5})},
            "optimizer.settings: learning_rate is the variant's own",
        ),
        ({"schedule": Component(COSINE.path)}, "schedule.settings: decay_steps is missing"),
        (
            {"schedule": Component("keras.optimizers.Adam")},
            "schedule.path: keras.optimizers.Adam gives a Adam",
        ),
    ],
)
def test_what_is_no_optimizer_or_schedule_is_refused_in_one_line(changes, words):
    with pytest.raises(UserError, match=words) as error:
        build(variant(**changes))
    assert "\n" not in str(error.value)


def test_a_schedule_begins_at_the_learning_rate_and_counts_steps():
    made = build(variant(optimizer=SGD, learning_rate=0.4, schedule=COSINE))
    assert isinstance(made, keras.optimizers.SGD)
    weight = keras.Variable(np.zeros(1, np.float32))
    made.build([weight])
    rates = []
    for _ in range(16):
        rates.append(float(made.learning_rate))
        made.apply([np.ones(1, np.float32)], [weight])
    assert rates[0] == pytest.approx(0.4)
    assert rates[15] == pytest.approx(0, abs=1e-7)
    assert sorted(rates, reverse=True) == rates


def test_the_default_is_the_codelabs_adam():
    made = build(variant(learning_rate=0.002))
    assert type(made) is keras.optimizers.Adam
    assert float(made.learning_rate) == pytest.approx(0.002)
    assert variant().model == small_cnn()
