"""Whose row is which, in a user's own data: a person is wholly a member or not."""

import os
from dataclasses import replace

import numpy as np
import pytest
from own_examples import LABELS, ONE_SPLIT, PIXELS, refused
from PIL import Image

from privacy_report.datasets import arrays, images, persons, preparation, prepared, splits, table
from privacy_report.datasets.labelled import LabelledImages
from privacy_report.datasets.schema import DatasetParams
from privacy_report.errors import UserError

ROWS = 60
WHO = [f"p{i % 20:02}" for i in range(ROWS)]


def csv(path, who=WHO, **columns):
    rng = np.random.default_rng(1)
    columns = {
        "age": rng.integers(20, 60, ROWS),
        "ill": [0, 1] * 30,
        "who": who,
    } | columns
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def params(**changes):
    settings = {"path": "own_data/t.csv", "label": "ill", "person": "who"} | ONE_SPLIT
    return DatasetParams("table", **(settings | changes))


def membership(asked, dataset):
    return splits.membership(asked, dataset.splits, dataset.labels, dataset.persons)


def test_a_column_of_a_table_says_whose_row_it_is_and_is_no_feature(tmp_path):
    dataset = table.load(params(), csv(tmp_path / "t.csv"))
    assert dataset.images.shape == (ROWS, 1)
    assert dataset.persons.tolist() == WHO


@pytest.mark.parametrize("fraction", [0.3, 0.5, 0.8])
def test_persons_are_drawn_with_all_their_rows(fraction, tmp_path):
    asked = params(member_fraction=fraction)
    dataset = table.load(asked, csv(tmp_path / "t.csv"))
    both = membership(asked, dataset)
    sides = [set(dataset.persons[rows]) for rows in (both.member, both.nonmember)]
    assert not sides[0] & sides[1]
    assert len(sides[0]) == round(20 * fraction)
    assert len(both.member) + len(both.nonmember) == ROWS
    mean = dataset.images[both.member, 0].mean()
    assert mean == pytest.approx(0, abs=1e-6)  # scaled by those members


def test_rows_of_a_split_keep_their_persons(tmp_path):
    split_column = ["old", "new"] * 30
    who = [f"{split}{i // 6}" for i, split in enumerate(split_column)]
    asked = params(split="part", member_split="old", nonmember_split="new", member_fraction=None)
    dataset = table.load(asked, csv(tmp_path / "t.csv", who, part=split_column))
    assert [name[:3] for name in dataset.persons] == ["old"] * 30 + ["new"] * 30
    membership(asked, dataset)
    with pytest.raises(UserError, match=r"person 'p\d+' \(and \d+ more\) is a member and a non-member"):
        table.load(asked, csv(tmp_path / "t.csv", [f"p{i // 6}" for i in range(ROWS)], part=split_column))


@pytest.mark.parametrize(
    ("who", "words"),
    [
        (["", *WHO[1:]], "names nobody in row 1"),
        ([f"{i}.5" for i in range(ROWS)], "person who holds 0.5, allowed: whole numbers or texts"),
        (["", *range(1, ROWS)], "person who is missing in row 1"),
    ],
)
def test_a_column_that_names_no_persons_is_refused(who, words, tmp_path):
    refused(words, lambda: table.load(params(), csv(tmp_path / "t.csv", who)))


def test_settings_are_checked(tmp_path):
    refused(
        "dataset.person: .* has no column 'x'",
        lambda: table.load(params(person="x"), csv(tmp_path / "t.csv")),
    )
    refused("person", lambda: params(person="ill"))
    refused("person", lambda: DatasetParams("folder", **ONE_SPLIT, path="own_data/f", person="subject"))
    refused("person", lambda: DatasetParams("digits", **ONE_SPLIT, person="who"))


@pytest.mark.parametrize("split", ["", "train"])
def test_a_level_of_folders_says_whose_image_it_is(split, tmp_path):
    who = np.array(["ann", "bob", "cat", "dan"])[np.arange(12) // 3]
    for i, (array, label, name) in enumerate(zip(PIXELS, LABELS, who, strict=True)):
        path = tmp_path / split / f"class {label}" / name / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)
    dataset = images.load(tmp_path, None, None, persons=True)
    order = np.lexsort((np.arange(12), who, LABELS))
    np.testing.assert_array_equal(dataset.images[..., 0], PIXELS[order])
    np.testing.assert_array_equal(dataset.labels, LABELS[order])
    np.testing.assert_array_equal(dataset.persons, who[order])
    assert list(dataset.splits) == [split or "all"]


def test_a_flat_folder_is_refused_where_there_are_persons(tmp_path):
    (tmp_path / "cat" / "ann").mkdir(parents=True)
    (tmp_path / "dog").mkdir()
    for name in ("cat/ann/1.png", "dog/2.png"):
        Image.fromarray(PIXELS[0]).save(tmp_path / name)
    refused("2.png: allowed: a folder per person", lambda: images.load(tmp_path, None, None, persons=True))


def test_arrays_say_whose_row_it_is(tmp_path):
    features, labels = np.zeros((8, 2), np.float32), np.arange(8) % 2
    np.savez(tmp_path / "a.npz", features=features, labels=labels, person=np.arange(8) // 2)
    assert arrays.load(tmp_path / "a.npz").persons.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    both = {
        f"{split}_{name}": array
        for split in "ab"
        for name, array in (("features", features), ("labels", labels))
    }
    np.savez(tmp_path / "b.npz", **both, a_person=np.arange(8))
    refused("split b names no persons and others do", lambda: arrays.load(tmp_path / "b.npz"))
    np.savez(tmp_path / "c.npz", features=features, labels=labels, person=np.arange(7))
    refused(r"persons of split all must be integers or text \(8,\)", lambda: arrays.load(tmp_path / "c.npz"))


LARGE = 2**62
"""From 2^53 on float64 has no place for every integer."""


def test_integers_of_two_types_are_still_the_same_persons(tmp_path):
    half = {"features": np.zeros((4, 2), np.float32), "labels": np.arange(4) % 2}
    kinds = {"a": np.uint64, "b": np.int64}
    splits_ = {f"{split}_{name}": array for split in kinds for name, array in half.items()}
    who = {f"{split}_person": np.arange(4).astype(kind) + kind(LARGE) for split, kind in kinds.items()}
    np.savez(tmp_path / "a.npz", **splits_, **who)
    ids = arrays.load(tmp_path / "a.npz").persons
    assert ids.dtype.kind == "i"
    assert ids.tolist() == [LARGE + i for i in range(4)] * 2
    who["a_person"][0] = 2**63
    np.savez(tmp_path / "a.npz", **splits_, **who)
    refused("persons of split a must be at most 9223372036854775807", lambda: arrays.load(tmp_path / "a.npz"))


def examples(who):
    features = np.arange(24, dtype=np.float32).reshape(12, 2)
    return LabelledImages(features, (np.arange(12) % 2).astype(np.int32), ("a", "b"), {"all": range(12)}, who)


def written(folder, who):
    dataset = examples(who)
    asked = DatasetParams("arrays", path="own_data/a", **ONE_SPLIT)
    return preparation.write(folder, "mine", dataset, membership(asked, dataset))


def test_numbers_of_persons_are_written_and_no_names_and_nothing_without_persons(tmp_path):
    about = written(tmp_path, np.array(["ann", "bob", "cat", "dan"] * 3))
    assert np.load(tmp_path / "person.npy").tolist() == [0, 1, 2, 3] * 3
    assert np.load(tmp_path / "person.npy").dtype == np.int32
    assert (about["n_member_person"], about["n_nonmember_person"]) == (2, 2)
    prepared_data = prepared.read(tmp_path)
    who = persons.read(prepared_data, tmp_path)
    assert who.tolist() == (np.concatenate([prepared_data.member, prepared_data.nonmember]) % 4).tolist()
    without = written(tmp_path, None)
    assert not (tmp_path / "person.npy").exists()
    assert persons.read(prepared_data, tmp_path) is None
    assert set(about) - set(without) == {"n_member_person", "n_nonmember_person"}


@pytest.mark.parametrize("steps", range(1, 8))
def test_a_run_that_is_killed_leaves_no_dataset_without_its_persons(steps, tmp_path, monkeypatch):
    """A step takes a file away, or puts one in its place; the run dies instead of taking the last."""
    written(tmp_path, np.array(["ann", "bob", "cat", "dan"] * 3))
    taken = 0

    def dies(do):
        def step(*args, **settings):
            nonlocal taken
            taken += 1
            if taken == steps:
                raise KeyboardInterrupt
            return do(*args, **settings)

        return step

    monkeypatch.setattr(preparation.Path, "unlink", dies(preparation.Path.unlink))
    monkeypatch.setattr("os.replace", dies(os.replace))
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path, None)
    if (tmp_path / "dataset.json").exists():
        assert (tmp_path / "person.npy").exists()


def test_canaries_are_drawn_from_one_row_of_each_member(tmp_path):
    written(tmp_path, np.array(["ann", "bob", "cat", "dan"] * 3))
    prepared_data = prepared.read(tmp_path)
    who = persons.read(prepared_data, tmp_path)
    several = {tuple(persons.one_row_each(prepared_data, who, seed)) for seed in range(20)}
    assert len(several) > 1
    for rows in several:
        assert set(rows) <= set(prepared_data.member.tolist())
        assert sorted(row % 4 for row in rows) == sorted({row % 4 for row in prepared_data.member.tolist()})
        assert list(rows) == sorted(rows)


def test_each_row_by_somebody_else_is_drawn_as_without_persons():
    labels = np.arange(40) % 3
    np.testing.assert_array_equal(splits.draw(labels, 0.5, 7), splits.draw(labels, 0.5, 7, np.arange(40)))
    dataset = replace(examples(None), persons=np.arange(12))
    asked = DatasetParams("arrays", path="own_data/a", **ONE_SPLIT)
    np.testing.assert_array_equal(membership(asked, dataset).member, membership(asked, examples(None)).member)
