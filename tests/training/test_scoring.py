"""Scoring: the logits of the right examples in the right order, and damaged checkpoints by name."""

from pathlib import Path

import keras
import numpy as np
import pytest

from privacy_report.datasets.prepared import Prepared
from privacy_report.errors import UserError
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.contract import HISTORY
from privacy_report.pipeline.files import read_arrays, write_arrays
from privacy_report.training import state
from privacy_report.training.schema import Queries
from privacy_report.training.scoring import Scorer

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 12, 12, 1)).astype(np.uint8)
LABELS = RNG.integers(0, 4, 60).astype(np.int32)
MEMBER, NONMEMBER = RNG.permutation(60)[:40], np.arange(20)


def model() -> keras.Model:
    layers = keras.layers
    stack = [
        layers.Input((12, 12, 1)),
        layers.Conv2D(3, 3),
        layers.Dropout(0.5),
        layers.Flatten(),
        layers.Dense(4),
    ]
    return keras.Sequential(stack)


@pytest.fixture
def checkpoint(tmp_path):
    """(a model, the file that holds it)."""
    keras.utils.set_random_seed(0)
    saved, optimizer = model(), keras.optimizers.Adam()
    optimizer.build(saved.trainable_variables)
    path = tmp_path / "epoch_0001.npz"
    write_arrays(path, state.to_arrays(saved, optimizer, 1, dict.fromkeys(HISTORY, 0.0)))
    return saved, path


def with_dropout(shape, n_classes) -> keras.Model:
    """What a variant names."""
    del shape, n_classes
    return model()


def scorer(images=IMAGES) -> Scorer:
    examples = Prepared(images, LABELS, MEMBER, NONMEMBER, {"n_classes": 4})
    return Scorer(Component(f"{__name__}.with_dropout"), examples)


def score(reused: Scorer, path: Path) -> dict[str, np.ndarray]:
    """As the stage does it."""
    return reused.score(read_arrays(path), str(path))


def test_logits_are_the_models_for_members_and_nonmembers(checkpoint):
    saved, path = checkpoint
    outputs = score(scorer(), path)
    for side, index in (("member", MEMBER), ("nonmember", NONMEMBER)):
        expected = saved.predict(IMAGES[index].astype(np.float32) / 255, verbose=0)
        assert outputs[f"{side}_logits"].dtype == np.float32
        np.testing.assert_allclose(outputs[f"{side}_logits"], expected, atol=1e-5)
        np.testing.assert_array_equal(outputs[f"{side}_labels"], LABELS[index])


def phi_by_hand(saved: keras.Model, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """log p of the label less log(1 - p), from Keras's own prediction and softmax in float64."""
    logits = saved.predict(images.astype(np.float32) / 255, verbose=0).astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    of_label = p[np.arange(len(labels)), labels]
    return np.log(of_label) - np.log(1 - of_label)


def test_other_queries_are_the_models_answers_to_mirrored_and_moved_images(checkpoint):
    saved, path = checkpoint
    asked = scorer().score(read_arrays(path), str(path), Queries(mirror=True, shift=2))
    alone = score(scorer(), path)
    assert sorted(asked.keys() - alone.keys()) == ["member_query_phi", "nonmember_query_phi"]
    for name in alone:  # what is written of the examples themselves does not change
        np.testing.assert_array_equal(asked[name], alone[name])
    for side, index in (("member", MEMBER), ("nonmember", NONMEMBER)):
        images = IMAGES[index]
        padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
        up, down = padded[:, 4:, 2:-2], padded[:, :-4, 2:-2]
        left, right = padded[:, 2:-2, 4:], padded[:, 2:-2, :-4]
        expected = [
            phi_by_hand(saved, turned, LABELS[index])
            for turned in (np.flip(images, axis=2), up, down, left, right)
        ]
        assert asked[f"{side}_query_phi"].dtype == np.float32
        np.testing.assert_allclose(asked[f"{side}_query_phi"], expected, atol=1e-4)


def test_queries_of_what_is_no_image_are_refused(checkpoint):
    _, path = checkpoint
    with pytest.raises(UserError, match=r"queries: got a shift of 12 for examples of shape \(12, 12, 1\)"):
        scorer().score(read_arrays(path), str(path), Queries(shift=12))
    with pytest.raises(UserError, match=r"queries: got .*'mirror': False.*allowed: mirror: true"):
        Queries()


def test_memory_mapped_images_and_repeated_scoring_give_the_same_bits(checkpoint, tmp_path):
    _, path = checkpoint
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = scorer(np.load(tmp_path / "images.npy", mmap_mode="r"))
    first, again, other = score(mapped, path), score(mapped, path), score(scorer(), path)
    np.testing.assert_array_equal(first["member_logits"], again["member_logits"])
    np.testing.assert_array_equal(first["member_logits"], other["member_logits"])


def test_next_checkpoint_replaces_the_weights(checkpoint, tmp_path):
    saved, path = checkpoint
    reused = scorer()
    before = score(reused, path)["member_logits"]
    saved.set_weights([2 * w for w in saved.get_weights()])
    optimizer = keras.optimizers.Adam()
    optimizer.build(saved.trainable_variables)
    second = tmp_path / "epoch_0002.npz"
    write_arrays(second, state.to_arrays(saved, optimizer, 2, dict.fromkeys(HISTORY, 0.0)))
    assert not np.allclose(score(reused, second)["member_logits"], before)


@pytest.mark.parametrize(
    "damage", ["truncated", "no architecture", "no weights", "other shape", "another model", "NaN"]
)
def test_damaged_checkpoint_is_refused_by_name(damage, checkpoint):
    _, path = checkpoint
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    else:
        with np.load(path) as archive:
            arrays = dict(archive)
        if damage == "no architecture":
            del arrays["architecture"]
        elif damage == "no weights":
            del arrays["weights/000"]
        elif damage == "another model":
            arrays["weights/005"] = np.zeros(1, np.float32)
        elif damage == "other shape":
            arrays["weights/000"] = arrays["weights/000"][..., :1]
        else:
            arrays["weights/000"][0] = np.nan
        write_arrays(path, arrays)
    with pytest.raises(UserError, match=r"epoch_0001\.npz: ") as error:
        score(scorer(), path)
    assert "\n" not in str(error.value)
