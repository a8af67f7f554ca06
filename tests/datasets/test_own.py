"""Data of a user's own: arrays, folders of images and tables, read as they are or refused in one line."""

import os

import numpy as np
import pytest
from PIL import Image
from sandbox import plain_python

from privacy_report.datasets import arrays, duplicates, images, sources, splits, table
from privacy_report.datasets.schema import DatasetParams
from privacy_report.errors import UserError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 5, 4)).astype(np.uint8)
LABELS = np.arange(12) % 3
ONE_SPLIT = {"member_split": "all", "nonmember_split": "all", "member_fraction": 0.5}


def refused(words, work):
    with pytest.raises(UserError, match=words) as error:
        work()
    assert "\n" not in str(error.value)


# Arrays


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
    found = sources.load(params)
    np.testing.assert_array_equal(found.images, features)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert (found.class_names, dict(found.splits)) == (("a", "b", "c"), {"all": range(12)})


def test_arrays_with_splits_by_name(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        train_features=PIXELS[:6], train_labels=LABELS[:6], new_features=PIXELS[6:], new_labels=LABELS[6:],
    )  # fmt: skip
    found = arrays.load(tmp_path / "a.npz")
    assert found.class_names == ("0", "1", "2")
    params = DatasetParams("arrays", "new", "train", path="own_data/a.npz")
    sides = splits.membership(params, found.splits, found.labels)
    np.testing.assert_array_equal(found.images[sides.member], PIXELS[6:])
    np.testing.assert_array_equal(found.images[sides.nonmember], PIXELS[:6])


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


# Folders of images


def write(folder, pixels, labels=LABELS, mode=None):
    for i, (one, label) in enumerate(zip(pixels, labels, strict=True)):
        path = folder / f"class {label}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(one)
        (image.convert(mode) if mode else image).save(path)


def test_a_folder_of_images_by_class_and_number(tmp_path):
    write(tmp_path, PIXELS)
    (tmp_path / ".DS_Store").write_text("of another program")
    found = images.load(tmp_path, None, None)
    order = np.argsort(LABELS, kind="stable")  # 10.png comes after 7.png, not before 1.png
    np.testing.assert_array_equal(found.images[..., 0], PIXELS[order])
    np.testing.assert_array_equal(found.labels, LABELS[order])
    assert found.class_names == ("class 0", "class 1", "class 2")


def test_a_folder_with_splits_and_colours(tmp_path):
    coloured = RNG.integers(0, 256, (12, 5, 4, 3)).astype(np.uint8)
    write(tmp_path / "train", coloured[:6], LABELS[:6])
    write(tmp_path / "test", coloured[6:], LABELS[6:])
    found = images.load(tmp_path, None, None)
    assert dict(found.splits) == {"test": range(6), "train": range(6, 12)}
    assert found.images.shape == (12, 5, 4, 3)
    np.testing.assert_array_equal(found.images[6], coloured[0])


def test_sizes_and_colours_are_made_equal_by_settings_and_never_silently(tmp_path):
    write(tmp_path, PIXELS)
    Image.fromarray(PIXELS[0].T).save(tmp_path / "class 1/other.png")
    refused(
        r"other\.png: has shape \(4, 5, 1\), .* set dataset\.size", lambda: images.load(tmp_path, None, None)
    )
    assert images.load(tmp_path, [8, 6], None).images.shape == (13, 8, 6, 1)
    Image.fromarray(PIXELS[0]).convert("RGB").save(tmp_path / "class 1/other.png")
    refused(r"set dataset\.colour", lambda: images.load(tmp_path, None, None))
    assert images.load(tmp_path, None, "rgb").images.shape == (13, 5, 4, 3)
    Image.fromarray(PIXELS[0]).convert("P").save(tmp_path / "class 1/other.png")
    refused(r"other\.png: an image of mode P; set dataset\.colour", lambda: images.load(tmp_path, None, None))


def test_what_is_no_image_is_named(tmp_path):
    write(tmp_path, PIXELS)
    path = tmp_path / "class 2/11.png"
    path.write_bytes(path.read_bytes()[:50])
    refused(r"class 2/11\.png: not readable as an image", lambda: images.load(tmp_path, None, None))
    path.write_text("no image")
    refused(r"class 2/11\.png: not readable as an image", lambda: images.load(tmp_path, None, None))
    path.rename(path.with_suffix(".txt"))
    refused(r"11\.txt: no image by its name", lambda: images.load(tmp_path, None, None))


@pytest.mark.parametrize("kind", ["TGA", "ICO", "PPM", "EPS", "JPEG2000"])
def test_only_the_documented_formats_are_read_whatever_a_file_is_called(kind, tmp_path):
    write(tmp_path, PIXELS)
    other = tmp_path / "class 1/other.png"
    Image.fromarray(PIXELS[0]).convert("RGB").save(other, format=kind)
    with Image.open(other) as opened:
        assert opened.format == kind  # Pillow itself goes by the content
    allowed = "allowed by its content: PNG, JPEG, BMP, GIF, WEBP, TIFF"
    refused(rf"other\.png: not readable as an image, {allowed}", lambda: images.load(tmp_path, None, "grey"))


@pytest.mark.parametrize("kind", images.FORMATS)
def test_every_documented_format_is_read(kind, tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for name in "01":
            flat = Image.fromarray(np.full((16, 16), 200, np.uint8))
            flat.save(tmp_path / label / f"{name}.{kind.lower()}", format=kind)
    found = images.load(tmp_path, None, "grey")
    assert found.images.shape == (4, 16, 16, 1)
    assert abs(found.images.astype(int) - 200).max() <= 2  # JPEG and WebP are not exact


def test_names_of_folders_are_utf_8_in_any_locale(tmp_path):
    write(tmp_path / "ø", PIXELS)
    (tmp_path / "ø/class 1").rename(tmp_path / "ø/größe")
    found = plain_python(
        "from pathlib import Path; from privacy_report.datasets import images\n"
        f"print(ascii(images.load(Path({str(tmp_path)!r}), None, None)))"
    )
    assert "class_names=('class 0', 'class 2', 'gr\\xf6\\xdfe')" in found.stdout
    assert "splits={'\\xf8': range(0, 12)}" in found.stdout
    os.rename(tmp_path / "ø/größe", os.fsencode(tmp_path / "ø") + b"/gr\xf6\xdfe")
    refused(r"gr\\udcf6\\udcdfe': a folder's name must be UTF-8", lambda: images.load(tmp_path, None, None))


def test_all_images_that_cannot_be_used_are_counted_and_the_first_five_named(tmp_path):
    write(tmp_path, PIXELS)
    (tmp_path / "class 0/0.png").write_text("the first of all")
    for i in range(6):
        (tmp_path / f"class 2/{90 + i}.png").write_text("no image")
    (tmp_path / "class 1/notes.txt").write_text("no image")
    refused(
        rf"^{tmp_path}: 8 of 19 files cannot be used: .*/class 0/0\.png: not readable .*; "
        r".*/class 1/notes\.txt: no image by its name.*; .*90\.png.*; .*91\.png.*; .*92\.png.*; and 3 more$",
        lambda: images.load(tmp_path, None, None),
    )


def test_folders_that_are_no_data_set_are_refused(tmp_path):
    refused("no such folder", lambda: images.load(tmp_path / "none", None, None))
    refused("no images, allowed", lambda: images.load(tmp_path, None, None))
    write(tmp_path, PIXELS)
    write(tmp_path / "class 1", PIXELS)
    refused("class 1 holds folders and class 0 does not", lambda: images.load(tmp_path, None, None))


def test_a_class_with_one_image_is_refused_by_its_name(tmp_path):
    write(tmp_path, PIXELS[:10], [0] * 9 + [1])
    refused(r"class class 1 \(label 1\) has 1 examples", lambda: images.load(tmp_path, None, None))


# Tables

ROWS = 40


def csv(path, **columns):
    columns = {"age": range(20, 20 + ROWS), "sex": ["f", "m"] * 20, "ill": [0, 0, 1, 1] * 10} | columns
    columns = {name: values for name, values in columns.items() if values is not None}
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def params(**changes):
    return DatasetParams("table", **({"path": "own_data/t.csv", "label": "ill"} | ONE_SPLIT | changes))


def test_numbers_are_scaled_and_texts_one_hot_by_the_members_alone(tmp_path):
    path = csv(tmp_path / "t.csv", weight=["", *range(1, ROWS)])
    found = table.load(params(), path)
    members = splits.membership(params(), found.splits, found.labels).member
    ages, weights = np.arange(20, 20 + ROWS), np.r_[np.nan, np.arange(1, ROWS)]
    weights[0] = np.nanmedian(weights[members])
    for column, values in ((0, ages), (3, weights)):
        scaled = (values - values[members].mean()) / values[members].std()
        np.testing.assert_allclose(found.images[:, column], scaled, rtol=1e-5)
    np.testing.assert_array_equal(found.images[:, 1:3], [[1, 0], [0, 1]] * 20)
    assert (found.images.dtype, found.class_names) == (np.float32, ("0", "1"))


def test_a_category_without_members_is_all_zeros_and_splits_come_from_a_column(tmp_path):
    path = csv(tmp_path / "t.csv", sex=["f", "m"] * 10 + ["x", "m"] * 10, part=["old"] * 20 + ["new"] * 20)
    by_column = params(split="part", member_split="old", nonmember_split="new", member_fraction=None)
    found = table.load(by_column, path)
    assert dict(found.splits) == {"old": range(20), "new": range(20, 40)}
    np.testing.assert_array_equal(found.images[20:22, 1:], [[0, 0], [0, 1]])
    assert found.images[:20, 0].mean() == pytest.approx(0, abs=1e-6)


def test_parquet_and_texts_as_classes(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"x": list(range(60)), "flag": [True, False, None] * 20, "kind": ["no", "yes"] * 30}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = table.load(params(label="kind"), tmp_path / "t.parquet")
    assert (found.images.shape, found.class_names) == ((60, 4), ("no", "yes"))
    assert found.labels.tolist() == [0, 1] * 30


@pytest.mark.parametrize(
    ("columns", "changes", "words"),
    [
        ({}, {"label": "sick"}, r"dataset\.label: .* has no column 'sick', allowed: age, sex, ill"),
        ({}, {"drop": ["name"]}, r"dataset\.drop: .* has no column 'name'"),
        ({}, {"drop": ["ill"]}, r"dataset\.label: .* has no column 'ill'"),
        ({}, {"drop": ["age", "sex"]}, "no column is left next to the label"),
        ({"ill": [*[0, 1] * 19, 1, "n/k"]}, {}, "label ill is 'n/k' in row 40 and a number in others"),
        ({"ill": [*[0, 1] * 19, 1, ""]}, {}, "label ill is missing in row 40"),
        (
            {"ill": [*["no", "yes"] * 18, "", "no", " ", "yes"]},
            {},
            "label ill is empty in row 37 and 2 rows in all",
        ),
        ({"ill": [0.5, 1.5] * 20}, {}, "label ill holds fractions such as 0.5"),
        ({"ill": [f"person {i}" for i in range(ROWS)]}, {}, "label ill has 40 different texts"),
        ({"code": ["a", "b", "c", "d"] * 10}, {}, "column code leaks the label.*dataset.drop"),
        ({"again": [0, 0, 1, 1] * 10}, {}, "column again leaks the label"),
        ({"nothing": [""] * ROWS}, {}, "column nothing"),
    ],
)
def test_tables_that_are_no_data_set_are_refused_in_one_line(columns, changes, words, tmp_path):
    path = csv(tmp_path / "t.csv", **columns)
    refused(words, lambda: table.load(params(**changes), path))


PUBLIC = ["public"] * 10 + ["in", "out"] * 15
THREE = {"split": "part", "member_split": "in", "nonmember_split": "out", "member_fraction": None}
AGES, SEXES = {"age": [40, 8]}, {"sex": ["f", "m"]}


def changed_by_one_member(tmp_path, settings):
    """Which features of the other rows change with one member's age and sex."""
    ages, sexes = list(range(20, 20 + ROWS)), ["f", "m"] * 20
    assert PUBLIC[10] == "in"
    before = table.load(params(**settings), csv(tmp_path / "a.csv", age=ages, sex=sexes, part=PUBLIC))
    ages[10], sexes[10] = 900, "x"
    after = table.load(params(**settings), csv(tmp_path / "b.csv", age=ages, sex=sexes, part=PUBLIC))
    row = before.splits["in"].start
    assert before.splits == after.splits
    assert not np.array_equal(before.images[row], after.images[row])
    others = np.arange(ROWS) != row
    if before.images.shape != after.images.shape:
        return "width"
    return "none" if np.array_equal(before.images[others], after.images[others]) else "values"


@pytest.mark.parametrize(
    "settings",
    [{"fit_split": "public"}, {"scales": AGES, "categories": SEXES}, {"fit_split": "public", "scales": AGES}],
    ids=["split", "constants", "both"],
)
def test_a_member_changes_its_own_features_alone_where_the_scales_are_public(settings, tmp_path):
    """The ground of a private variant on a table; by default one member moves all (DatasetParams says so)."""
    assert not params(**THREE | settings).fitted_on_members
    assert changed_by_one_member(tmp_path, THREE | settings) == "none"
    assert params(**THREE).fitted_on_members
    assert changed_by_one_member(tmp_path, THREE) == "width"


def test_public_scales_and_categories_are_those_that_were_given(tmp_path):
    path = csv(tmp_path / "t.csv", age=["", *range(21, 20 + ROWS)], sex=["x", *["f", "m"] * 19, ""])
    found = table.load(params(scales=AGES, categories=SEXES), path)
    np.testing.assert_allclose(found.images[:, 0], [0, *((np.arange(21, 20 + ROWS) - 40) / 8)], rtol=1e-6)
    np.testing.assert_array_equal(found.images[:, 1:], [[0, 0], *[[1, 0], [0, 1]] * 19, [0, 0]])


def test_a_public_split_scales_all_rows(tmp_path):
    path = csv(tmp_path / "t.csv", sex=["f", "m"] * 5 + ["x"] * 10 + ["m"] * 20, part=PUBLIC)
    found = table.load(params(**THREE, fit_split="public"), path)
    public = found.images[list(found.splits["public"])]
    assert found.images.shape == (ROWS, 3)
    assert public[:, 0].mean() == pytest.approx(0, abs=1e-6)
    assert public[:, 0].std() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("columns", "changes", "words"),
    [
        ({}, {"scales": AGES}, "column sex has no constant, allowed: dataset.scales or dataset.categories"),
        ({}, {"scales": AGES | {"sex": [0, 1]}}, "dataset.scales: .*: column sex holds texts"),
        ({}, {"categories": SEXES | {"age": ["20"]}}, "dataset.categories: .*: column age holds numbers"),
        ({}, {"scales": {"weight": [0, 1]}}, r"dataset.scales: .*: column: got 'weight', allowed: age, sex"),
        (
            {"part": PUBLIC},
            THREE | {"fit_split": "all"},
            "dataset.fit_split: got 'all', allowed: in, out, pub",
        ),
        (
            {"part": PUBLIC, "age": [*range(ROWS - 1), "n/k"]},
            THREE | {"fit_split": "public"},
            "column age holds numbers in dataset.fit_split and texts in other rows",
        ),
    ],
)
def test_constants_and_splits_that_do_not_fit_the_table_are_refused(columns, changes, words, tmp_path):
    path = csv(tmp_path / "t.csv", **columns)
    refused(words, lambda: table.load(params(**changes), path))


def test_texts_that_are_no_categories_are_refused(tmp_path):
    lines = [f"name {i},{i % 2}" for i in range(300)]
    (tmp_path / "t.csv").write_text("\n".join(["who,ill", *lines]))
    refused(
        "column who has 150 different texts, allowed: 100", lambda: table.load(params(), tmp_path / "t.csv")
    )


@pytest.mark.parametrize(
    ("text", "words"), [("", "cannot be read"), ("a,ill\n", "empty table"), ("a,a\n1,2\n", "one name")]
)
def test_empty_and_broken_tables_are_refused(text, words, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    refused(words, lambda: table.load(params(), tmp_path / "t.csv"))
    refused("no such file", lambda: table.load(params(), tmp_path / "u.csv"))
    refused("ends in .csv or .parquet", lambda: table.load(params(), tmp_path / "t.xlsx"))


# Settings, duplicates

TABLE = {"name": "table", "path": "own_data/t.csv", "label": "ill"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "digits", "path": "own_data/x"}, "path: got 'own_data/x', allowed: null for digits"),
        ({"name": "arrays"}, "path: got None, allowed: a value, which arrays needs"),
        ({"name": "table", "path": "own_data/t.csv"}, "label: got None, allowed: a value"),
        (
            {"name": "arrays", "path": "/tmp/a.npz"},
            "path: got '/tmp/a.npz', allowed: a file or folder in own_data",
        ),
        ({"name": "arrays", "path": "own_data/../a.npz"}, "path: got"),
        ({"name": "arrays", "path": "own_data/a.npz", "fit_split": "x"}, "fit_split: got 'x', allowed: null"),
        (TABLE | {"fit_split": "all"}, "fit_split: got 'all', allowed: a split that is neither"),
        (TABLE | {"scales": {"age": [40]}}, r"scales.age: got \[40\], allowed: \[mean, deviation\]"),
        (TABLE | {"scales": {"age": 40}}, r"scales.age: got 40, allowed: \[mean, deviation\]"),
        (TABLE | {"scales": {"age": ["a", 1]}}, r"scales.age: got \['a', 1\], allowed: \[mean, deviation\]"),
        (TABLE | {"scales": {"age": [40, 0]}}, r"scales.age: got \[40, 0\], allowed: \[mean, deviation\]"),
        (TABLE | {"categories": {"sex": ["f", "f"]}}, "categories.sex: got .* allowed: at least one text"),
        (TABLE | {"categories": {"a": ["f"]}, "scales": {"a": [0, 1]}}, "scales: got 'a', allowed: a column"),
        ({"name": "arrays", "path": "own_data/a.npz", "size": [3, 3]}, r"size: got \[3, 3\], allowed: null"),
        ({"name": "folder", "path": "own_data/a", "size": [3]}, r"size: got \[3\]"),
        ({"name": "folder", "path": "own_data/a", "colour": "red"}, "colour: got 'red', allowed: grey, rgb"),
        ({"name": "digits", "title": " "}, "title: got ' ', allowed: one line of text"),
        ({"name": "digits", "title": "a | b"}, "title: got"),
        ({"name": "digits", "title": "a\nb"}, "title: got"),
    ],
)
def test_settings_are_checked(settings, words):
    refused(words, lambda: DatasetParams(**(ONE_SPLIT | settings)))


def test_nonmembers_that_equal_a_member_are_counted():
    features = np.array([[0, 1], [2, 3], [4, 5], [2, 3], [2, 3], [9, 9]], np.float32)
    sides = splits.Membership(np.array([0, 1, 2]), np.array([3, 4, 5]))
    assert duplicates.count(features, sides) == 2
    assert (
        duplicates.count(features.astype(np.uint8), splits.Membership(np.array([0, 2]), np.array([1, 5])))
        == 0
    )
