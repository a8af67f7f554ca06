"""Scores of a model that this project did not train: by the callback, and by the command."""

import keras
import numpy as np
import pytest

from privacy_report.commands.score import main
from privacy_report.errors import UserError
from privacy_report.keras_callback import ScoreCheckpoint
from privacy_report.pipeline.outputs import read_outputs

# of Keras, when it writes a file with NumPy 2.4
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(0)
FEATURES, LABELS = RNG.normal(size=(90, 4)).astype(np.float32), RNG.integers(0, 3, 90)
MEMBERS, NONMEMBERS = (FEATURES[:50], LABELS[:50]), (FEATURES[50:], LABELS[50:, None])


def model(activation=None):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(3, activation=activation)]
    made = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=activation is None)
    made.compile("adam", loss, jit_compile=False)
    return made


@pytest.fixture
def fitted(tmp_path):
    """A model after four epochs of its own fit, which wrote scores each two."""
    made = model()
    callback = ScoreCheckpoint(MEMBERS, NONMEMBERS, every=2, folder=tmp_path / "scores")
    made.fit(*MEMBERS, epochs=4, verbose=0, callbacks=[callback])
    return made


def save(path, side):
    np.savez(path, features=side[0], labels=side[1])
    return str(path)


def test_the_callback_writes_each_second_epoch_what_the_model_says(fitted, tmp_path):
    files = sorted((tmp_path / "scores").iterdir())
    assert [file.name for file in files] == ["epoch_0002.npz", "epoch_0004.npz"]
    first, last = map(read_outputs, files)
    assert not np.array_equal(first.member_logits, last.member_logits)
    np.testing.assert_allclose(last.member_logits, fitted.predict(FEATURES[:50], verbose=0), atol=1e-6)
    np.testing.assert_allclose(last.nonmember_logits, fitted(FEATURES[50:], training=False), atol=1e-6)
    np.testing.assert_array_equal(last.nonmember_labels, LABELS[50:])


def test_probabilities_are_written_as_probabilities(tmp_path):
    made = model("softmax")
    made.fit(*MEMBERS, epochs=1, verbose=0, callbacks=[ScoreCheckpoint(MEMBERS, NONMEMBERS, folder=tmp_path)])
    with np.load(tmp_path / "epoch_0001.npz") as held:
        assert set(held.files) == {"member_probs", "nonmember_probs", "member_labels", "nonmember_labels"}
    found = read_outputs(tmp_path / "epoch_0001.npz")
    np.testing.assert_allclose(
        np.exp(found.member_logits[:]), made.predict(FEATURES[:50], verbose=0), rtol=1e-5
    )


def test_outputs_that_are_no_scores_warn_and_training_goes_on(tmp_path):
    made = model()
    made.set_weights([weight * np.nan for weight in made.get_weights()])
    callback = ScoreCheckpoint(MEMBERS, NONMEMBERS, folder=tmp_path)
    with pytest.warns(UserWarning, match="no scores after epoch 1: .*NaN"):
        made.fit(*MEMBERS, epochs=1, verbose=0, callbacks=[callback])
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="every: got 0"):
        ScoreCheckpoint(MEMBERS, NONMEMBERS, every=0)


def test_the_command_scores_a_file_and_a_folder_of_checkpoints(fitted, tmp_path):
    sides = [save(tmp_path / "in.npz", MEMBERS), save(tmp_path / "out.npz", NONMEMBERS)]
    (tmp_path / "run").mkdir()
    for name in ("run/epoch_0010", "run/epoch_9", "single"):
        fitted.save(tmp_path / f"{name}.keras")
    main(["--model", str(tmp_path / "single.keras"), "--data", *sides, "--out", str(tmp_path / "one.npz")])
    main(["--model", str(tmp_path / "run"), "--data", *sides, "--out", str(tmp_path / "many")])
    assert sorted(file.name for file in (tmp_path / "many").iterdir()) == ["epoch_0009.npz", "epoch_0010.npz"]
    expected = read_outputs(tmp_path / "scores/epoch_0004.npz")
    for path in ("one.npz", "many/epoch_0010.npz"):
        found = read_outputs(tmp_path / path)
        np.testing.assert_allclose(found.member_logits, expected.member_logits, atol=1e-5)
        np.testing.assert_allclose(found.nonmember_logits, expected.nonmember_logits, atol=1e-5)


def test_what_cannot_be_scored_is_one_line(fitted, tmp_path):
    good = save(tmp_path / "in.npz", MEMBERS)
    fitted.save(tmp_path / "m.keras")
    (tmp_path / "bad.keras").write_text("no model")
    (tmp_path / "empty").mkdir()
    np.savez(tmp_path / "lacks.npz", x=FEATURES)
    np.savez(tmp_path / "uneven.npz", features=FEATURES, labels=LABELS[:3])
    np.savez(tmp_path / "wide.npz", features=FEATURES[:, :2], labels=LABELS)
    for name, data, words in (
        ("none", "in", "no such file or folder"),
        ("empty", "in", "no checkpoints, allowed: files that end in .keras or .h5"),
        ("bad.keras", "in", "Keras cannot open it"),
        ("m.keras", "lacks", "lacks features, labels"),
        ("m.keras", "uneven", "90 rows of features and 3 labels"),
        ("m.keras", "wide", "cannot be run on these features"),
    ):
        with pytest.raises(UserError, match=words) as error:
            main(["--model", str(tmp_path / name), "--data", good, str(tmp_path / f"{data}.npz")])
        assert "\n" not in str(error.value)
