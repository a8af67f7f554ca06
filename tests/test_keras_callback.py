"""Scores of a model that this project did not train: by the callback, and by the command."""

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from sandbox import environment

from privacy_report.commands.audit import main as audit
from privacy_report.commands.score import main
from privacy_report.errors import UserError
from privacy_report.keras_callback import ScoreCheckpoint, scores, side_of
from privacy_report.pipeline.outputs import outputs_of, read_outputs

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
    outputs = read_outputs(tmp_path / "epoch_0001.npz")
    np.testing.assert_allclose(
        np.exp(outputs.member_logits[:]), made.predict(FEATURES[:50], verbose=0), rtol=1e-5
    )


def test_nothing_ends_a_fit_and_what_fails_is_one_warning(tmp_path, capsys):
    made = model()
    made.set_weights([weight * np.nan for weight in made.get_weights()])
    callback = ScoreCheckpoint(MEMBERS, NONMEMBERS, folder=tmp_path)
    with pytest.warns(UserWarning, match="no scores after epoch 1: .*NaN") as caught:
        made.fit(*MEMBERS, epochs=3, verbose=0, callbacks=[callback])
    assert len(caught) == 1
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().out == f"{tmp_path}: scores of 0 epochs, none of 3 others (see the warning)\n"


def lose_the_folder(callback):
    callback.folder.rmdir()
    callback.folder.write_text("a file now")


def shift_the_labels(callback):
    callback.sides[1].labels[:] = 3


def narrow_the_features(callback):
    callback.sides = tuple(replace(side, features=side.features[:, :2]) for side in callback.sides)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lose_the_folder, "cannot be written"),
        (shift_the_labels, "nonmember_labels must lie in 0..2, got 3..3"),
        (narrow_the_features, r"got features of shape \(2,\), allowed: \(4,\)"),
    ],
)
def test_whatever_happens_after_the_constructor_training_goes_on(harm, words, tmp_path):
    made, epochs = model(), []
    callback = ScoreCheckpoint(MEMBERS, (FEATURES[50:], LABELS[50:].copy()), folder=tmp_path / "scores")
    harm(callback)
    count = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(epoch))
    with pytest.warns(UserWarning, match=f"no scores after epoch 1: .*{words}") as caught:
        made.fit(*MEMBERS, epochs=2, verbose=0, callbacks=[callback, count])
    assert (epochs, len(caught)) == ([0, 1], 1)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("one_hot", [False, True])
def test_a_dataset_is_read_once_so_that_all_files_are_of_the_same_order(batched, one_hot, tmp_path):
    labels = np.eye(3, dtype=np.float32)[LABELS] if one_hot else LABELS
    made = tf.data.Dataset.from_tensor_slices((FEATURES[:50], labels[:50])).shuffle(50, seed=0)
    if batched or one_hot:  # single examples with one-hot labels look like batches
        made = made.batch(7)
    target = model()
    callback = ScoreCheckpoint(made, (FEATURES[50:], labels[50:]), folder=tmp_path)
    target.fit(*MEMBERS, epochs=2, verbose=0, callbacks=[callback])
    first, last = (read_outputs(tmp_path / f"epoch_000{epoch}.npz") for epoch in (1, 2))
    np.testing.assert_array_equal(first.member_labels, last.member_labels)
    np.testing.assert_array_equal(last.nonmember_labels, LABELS[50:])
    # the order is the dataset's: each row is the output for an example, next to this example's label
    outputs = target.predict(FEATURES[:50], verbose=0)
    place = np.abs(last.member_logits[:, None] - outputs[None]).sum(axis=2).argmin(axis=1)
    assert sorted(place) == list(range(50))
    assert list(place) != list(range(50))
    np.testing.assert_array_equal(last.member_labels, LABELS[:50][place])


def dataset() -> tf.data.Dataset:
    """The members; made within a test, since TensorFlow's threads cannot be set after its first tensor."""
    return tf.data.Dataset.from_tensor_slices(MEMBERS)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"every": 0}, "every: got 0, allowed: an integer of at least 1"),
        ({"every": 2.5}, "every: got 2.5"),
        ({"batch_size": True}, "batch_size: got True"),
        ({"members": FEATURES}, r"members: got ndarray, allowed: \(features, labels\) or a tf.data.Dataset"),
        ({"nonmembers": (FEATURES, LABELS[:3])}, "nonmembers: 90 rows of features and 3 labels"),
        ({"members": (FEATURES[:0], LABELS[:0])}, "members: 0 rows of features and 0 labels"),
        ({"members": (FEATURES, LABELS - 1)}, "members: labels must be at least 0, got -1"),
        ({"members": (FEATURES, LABELS / 2)}, "members: labels must be integers, got float64"),
        (
            {"members": (FEATURES, FEATURES)},
            r"members: labels: got float32 \(90, 4\), several numbers per",
        ),
        ({"members": (FEATURES, np.array(["a"] * 90))}, "members: labels are text, allowed: integers"),
        ({"nonmembers": (FEATURES[:, :2], LABELS)}, r"of shape \[\(4,\)\], nonmembers \[\(2,\)\]"),
        ({"members": lambda: dataset().repeat()}, "members: the dataset never ends"),
        ({"members": lambda: dataset().take(0)}, "members: the dataset is empty"),
        ({"members": lambda: dataset().map(lambda x, y: x)}, "members: the dataset holds TensorSpec"),
        (
            {"members": lambda: dataset().map(lambda x, y: (x, tf.one_hot(y, 3)))},
            "single examples, allowed: batches",
        ),
        ({"folder": "/proc/scores"}, "folder: /proc/scores cannot be written to"),
        ({"folder": __file__}, "cannot be written to"),
    ],
)
def test_the_constructor_refuses_in_one_line(given, words, tmp_path):
    given = {name: value() if callable(value) else value for name, value in given.items()}
    with pytest.raises(UserError, match=words) as error:
        ScoreCheckpoint(**({"members": MEMBERS, "nonmembers": NONMEMBERS, "folder": tmp_path} | given))
    assert "\n" not in str(error.value)


def test_the_end_of_a_fit_says_the_next_command_and_it_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    callback = ScoreCheckpoint(MEMBERS, NONMEMBERS, every=2, folder="my scores")
    model().fit(*MEMBERS, epochs=4, verbose=0, callbacks=[callback])
    said = capsys.readouterr().out
    assert said == "my scores: scores of 2 epochs; next: privacy-report audit 'my scores'\n"
    command = shlex.split(said.strip().rsplit("next: ")[1])
    audit(command[2:])
    assert (command[:2], Path(command[2]).is_dir()) == (["privacy-report", "audit"], True)
    model().fit(*MEMBERS, epochs=1, verbose=0, callbacks=[callback])
    assert "my scores: scores of 0 epochs, since none was a multiple of 2" in capsys.readouterr().out


def binary(activation, bias=0.0):
    keras.utils.set_random_seed(1)
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation=activation)])
    made.set_weights([made.get_weights()[0] * 0.1, np.array([bias], np.float32)])
    return made


@pytest.mark.parametrize(("activation", "bias"), [("sigmoid", 0.0), (None, -3.0), (None, 0.5)])
def test_one_output_is_that_of_the_second_class(activation, bias):
    """Logits within 0..1 are logits where the last layer says so (a bias of 0.5)."""
    made, labels = binary(activation, bias), LABELS % 2
    predicted = made.predict(FEATURES, verbose=0)[:, 0].astype(float)
    assert bias == -3.0 or (0 < predicted.min() < predicted.max() < 1)
    probability = predicted if activation else 1 / (1 + np.exp(-predicted))
    sides = (FEATURES[:50], labels[:50]), (FEATURES[50:], np.eye(2)[labels[50:]])
    outputs = outputs_of(scores(made, *map(side_of, sides, ("in", "out"))), "model")
    logits = np.concatenate([outputs.member_logits[:], outputs.nonmember_logits[:]])
    np.testing.assert_allclose(
        np.exp(logits[:, 1] - logits[:, 0]), probability / (1 - probability), rtol=1e-4
    )
    np.testing.assert_array_equal(outputs.nonmember_labels, labels[50:])


def test_several_outputs_are_refused():
    entry = keras.Input((4,))
    made = keras.Model(entry, [keras.layers.Dense(3)(entry), keras.layers.Dense(2)(entry)])
    with pytest.raises(UserError, match="model: the model has 2 outputs, allowed: one"):
        scores(made, side_of(MEMBERS, "in"), side_of(NONMEMBERS, "out"))


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
        outputs = read_outputs(tmp_path / path)
        np.testing.assert_allclose(outputs.member_logits, expected.member_logits, atol=1e-5)
        np.testing.assert_allclose(outputs.nonmember_logits, expected.nonmember_logits, atol=1e-5)


def test_what_cannot_be_scored_is_one_line(fitted, tmp_path):
    save(tmp_path / "in.npz", MEMBERS)
    good = save(tmp_path / "good.npz", NONMEMBERS)
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
        ("m.keras", "uneven", "uneven.npz: 90 rows of features and 3 labels"),
        ("m.keras", "good", "good.npz twice, allowed: members and others"),
        (
            "m.keras",
            "wide",
            r"m.keras: got features of shape \(2,\), allowed: \(4,\)",
        ),
    ):
        with pytest.raises(UserError, match=words) as error:
            main(["--model", str(tmp_path / name), "--data", good, str(tmp_path / f"{data}.npz")])
        assert "\n" not in str(error.value)


def test_what_is_read_is_not_written_over(fitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = [save(tmp_path / "mine.npz", MEMBERS), save(tmp_path / "other.npz", NONMEMBERS)]
    before = (tmp_path / "mine.npz").read_bytes()
    fitted.save(tmp_path / "mine.keras")
    for out in ([], ["--out", "./mine.npz"], ["--out", "mine.keras"]):
        with pytest.raises(UserError, match=r"^--out: got mine\.\w+, which is read, allowed: another file$"):
            main(["--model", "mine.keras", "--data", *data, *out])
    assert (tmp_path / "mine.npz").read_bytes() == before


@pytest.mark.parametrize("version", ["3.11.2", "3.9.0", "2.15.0"])
def test_a_keras_that_runs_code_of_a_file_is_refused(version, tmp_path, monkeypatch):
    (tmp_path / "m.h5").write_text("never opened")
    sides = [save(tmp_path / name, side) for name, side in (("in.npz", MEMBERS), ("out.npz", NONMEMBERS))]
    monkeypatch.setattr(keras, "__version__", version)
    asked = ["--model", str(tmp_path / "m.h5"), "--data", *sides]
    with pytest.raises(
        UserError, match=rf"^score: got Keras {version}, allowed: 3\.11\.3 or newer, since [^\n]*$"
    ):
        main(asked)
    monkeypatch.setattr(keras, "__version__", "3.12.0.dev2026")
    with pytest.raises(UserError, match=r"m\.h5: Keras cannot open it"):
        main(asked)


def test_the_command_says_one_line_of_result_and_one_of_progress(tmp_path):
    """TensorFlow greets on stderr, whatever its log level, unless it is kept from it."""
    binary("sigmoid").save(tmp_path / "m.keras")
    for name, rows in {"in": slice(50), "out": slice(50, None)}.items():
        save(tmp_path / f"{name}.npz", (FEATURES[rows], np.eye(2)[LABELS[rows] % 2]))
    command = [
        sys.executable,
        "-m",
        "privacy_report",
        "score",
        "--model",
        "m.keras",
        "--data",
        "in.npz",
        "out.npz",
    ]
    env = {name: value for name, value in environment().items() if not name.startswith("TF_")}
    env["PYTHONPATH"] = str(Path(__file__).parents[1])
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, encoding="utf-8", check=False)
    assert done.stdout == "m.npz: `privacy-report audit m.npz` attacks it\n"
    assert done.stderr == "score: models: 1/1, 0 s left\n"
    outputs = read_outputs(tmp_path / "m.npz")
    np.testing.assert_array_equal(outputs.member_labels, LABELS[:50] % 2)
    assert outputs.n_classes == 2
