"""Arrays of a user's own: read as they are or refused in one line."""

import numpy as np
import pytest
from own_examples import LABELS, ONE_SPLIT, PIXELS, RNG, refused

from privacy_report.datasets import arrays, sources, splits
from privacy_report.datasets.schema import DatasetParams


@pytest.mark.parametrize("as_folder", [False, True])
def test_arrays_are_read_as_they_are(as_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    features = RNG.normal(size=(12, 2, 3)).astype(np.float32)
    names = np.array(["a", "b", "c"])
    held = {"features": features, "labels": LABELS.astype(np.uint8), "class_names": names}
    path = tmp_path / "own_data/mine"
    path.mkdir(parents=True)
    if as_folder:
        for name, array in held.items():
            np.save(path / f"{name}.npy", array)
    else:
        path = path / "mine.npz"
        np.savez(path, **held)
    params = DatasetParams("arrays", path=str(path.relative_to(tmp_path)), **ONE_SPLIT)
    dataset = sources.load(params)
    np.testing.assert_array_equal(dataset.images, features)
    np.testing.assert_array_equal(dataset.labels, LABELS)
    assert (dataset.class_names, dict(dataset.splits)) == (("a", "b", "c"), {"all": range(12)})


def test_arrays_with_splits_by_name(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        train_features=PIXELS[:6], train_labels=LABELS[:6], new_features=PIXELS[6:], new_labels=LABELS[6:],
    )  # fmt: skip
    dataset = arrays.load(tmp_path / "a.npz")
    assert dataset.class_names == ("0", "1", "2")
    params = DatasetParams("arrays", "new", "train", path="own_data/a.npz")
    sides = splits.membership(params, dataset.splits, dataset.labels)
    np.testing.assert_array_equal(dataset.images[sides.member], PIXELS[6:])
    np.testing.assert_array_equal(dataset.images[sides.nonmember], PIXELS[:6])


def test_splits_may_have_labels_of_several_integer_types(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        train_features=PIXELS[:6], train_labels=LABELS[:6].astype(np.int64),
        new_features=PIXELS[6:], new_labels=LABELS[6:].astype(np.uint64),
    )  # fmt: skip
    np.testing.assert_array_equal(arrays.load(tmp_path / "a.npz").labels, LABELS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": LABELS[:-1]}, "split all has 12 rows of features and 11 labels"),
        ({"features": np.array([{}] * 12)}, "damaged, or not an .npz of named plain arrays"),
        ({"features": PIXELS.astype(float)}, r"must be uint8 or float32 \(n, \.\.\.\), got float64"),
        ({"features": np.full((12, 2), np.nan, np.float32)}, "NaN or infinity 24 times"),
        ({"labels": LABELS.astype(float)}, "labels of split all must be integers"),
        ({"labels": np.array(list("abcabcabcabc"))}, "labels of split all must be integers"),
        ({"labels": LABELS * 2}, r"class 1 \(label 1\) has 0 examples, allowed: at least 2"),
        ({"labels": np.array([3] + [0, 1, 2] * 3 + [0, 1])}, r"class 3 \(label 3\) has 1 examples"),
        ({"labels": LABELS + 1_000_000}, "labels go up to 1000002, with only 12 examples"),
        ({"labels": LABELS - 1}, "labels must begin with 0, got -1"),
        ({"labels": LABELS * 0}, "all examples are of one class"),
        ({"class_names": np.array(["a", "b"])}, "label 2 has no name among 2 class names"),
        ({"features": PIXELS[:0], "labels": LABELS[:0]}, "split all is empty"),
        ({"all_labels": LABELS}, "has labels and all_labels, allowed: one of them"),
        (
            {"labels": np.full(12, 2**63, np.uint64)},
            "labels of split all go up to 9223372036854775808, allowed",
        ),
        ({"x": PIXELS}, "unknown array 'x', allowed: features, labels"),
        ({"test_labels": LABELS}, "split test has no features"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused_in_one_line(changes, words, tmp_path):
    np.savez(tmp_path / "a.npz", **({"features": PIXELS, "labels": LABELS} | changes))
    refused(words, lambda: arrays.load(tmp_path / "a.npz"))


def test_pickled_arrays_in_a_folder_are_refused_by_name(tmp_path):
    np.save(tmp_path / "features.npy", np.array([{}]))
    refused(r"features\.npy: no plain array", lambda: arrays.load(tmp_path))
