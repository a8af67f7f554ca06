"""Tables of a user's own: read as they are or refused in one line."""

import numpy as np
import pytest
from own_examples import ONE_SPLIT, refused

from privacy_report.datasets import splits, table
from privacy_report.datasets.schema import DatasetParams

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
    dataset = table.load(params(), path)
    members = splits.membership(params(), dataset.splits, dataset.labels).member
    ages, weights = np.arange(20, 20 + ROWS), np.r_[np.nan, np.arange(1, ROWS)]
    weights[0] = np.nanmedian(weights[members])
    for column, values in ((0, ages), (3, weights)):
        scaled = (values - values[members].mean()) / values[members].std()
        np.testing.assert_allclose(dataset.images[:, column], scaled, rtol=1e-5)
    np.testing.assert_array_equal(dataset.images[:, 1:3], [[1, 0], [0, 1]] * 20)
    assert (dataset.images.dtype, dataset.class_names) == (np.float32, ("0", "1"))


def test_a_category_without_members_is_all_zeros_and_splits_come_from_a_column(tmp_path):
    path = csv(tmp_path / "t.csv", sex=["f", "m"] * 10 + ["x", "m"] * 10, part=["old"] * 20 + ["new"] * 20)
    by_column = params(split="part", member_split="old", nonmember_split="new", member_fraction=None)
    dataset = table.load(by_column, path)
    assert dict(dataset.splits) == {"old": range(20), "new": range(20, 40)}
    np.testing.assert_array_equal(dataset.images[20:22, 1:], [[0, 0], [0, 1]])
    assert dataset.images[:20, 0].mean() == pytest.approx(0, abs=1e-6)


def test_parquet_and_texts_as_classes(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"x": list(range(60)), "flag": [True, False, None] * 20, "kind": ["no", "yes"] * 30}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    dataset = table.load(params(label="kind"), tmp_path / "t.parquet")
    assert (dataset.images.shape, dataset.class_names) == ((60, 4), ("no", "yes"))
    assert dataset.labels.tolist() == [0, 1] * 30


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


def test_scales_in_quotes_are_numbers(tmp_path):
    path = csv(tmp_path / "a.csv", age=list(range(ROWS)), sex=["f", "m"] * (ROWS // 2), part=PUBLIC)
    given = [{"age": [40, 8]}, {"age": ["40", "8"]}]
    first, second = (table.load(params(**THREE, scales=scales, categories=SEXES), path) for scales in given)
    np.testing.assert_array_equal(first.images, second.images)


TRUTHS, BOOLS = ["true", "false", "", "true"] * 10, {"categories": {"cell": ["true", "false"]}}
NUMBERS, SCALE = ["1", "2.5", "", "3", "2"] * 8, {"scales": {"cell": [2, 1]}}
HAS_TEXTS = "dataset.scales: .*: column cell holds texts"
IN_OTHERS = "column cell holds numbers in dataset.fit_split and texts in other rows"


@pytest.mark.parametrize(
    ("cells", "cell", "settings", "words"),
    [
        (TRUTHS, "maybe", BOOLS, None),
        (TRUTHS, "", BOOLS, None),
        (TRUTHS, "1", BOOLS, None),
        (TRUTHS, "maybe", {"fit_split": "public"}, None),
        (NUMBERS, "maybe", SCALE, HAS_TEXTS),
        (NUMBERS, "true", SCALE, HAS_TEXTS),
        (NUMBERS, "1e3", SCALE, None),
        (NUMBERS, "", SCALE, None),
        (NUMBERS, "maybe", {"fit_split": "public"}, IN_OTHERS),
        (NUMBERS, "NA", {"fit_split": "public"}, None),
    ],
)
def test_one_cell_of_another_kind_changes_no_other_row_or_is_refused(cells, cell, settings, words, tmp_path):
    """What a column is must not depend on one member's cell, unless the table is refused."""
    only = {"age": None, "sex": None, "part": PUBLIC}
    before = table.load(params(**THREE | settings), csv(tmp_path / "a.csv", cell=cells, **only))
    path = csv(tmp_path / "b.csv", cell=[*cells[:10], cell, *cells[11:]], **only)
    if words:
        refused(words, lambda: table.load(params(**THREE | settings), path))
        return
    after = table.load(params(**THREE | settings), path)
    others = np.arange(ROWS) != before.splits["in"].start
    np.testing.assert_array_equal(before.images[others], after.images[others])


def test_truth_values_are_the_texts_that_the_file_has(tmp_path):
    path = csv(tmp_path / "t.csv", cell=["true", "false", "", "True", "true"] * 8, age=None, sex=None)
    dataset = table.load(params(**BOOLS), path)
    np.testing.assert_array_equal(dataset.images, [[1, 0], [0, 1], [0, 0], [0, 0], [1, 0]] * 8)
    path = csv(tmp_path / "t.csv", ill=["true", "false", "true", "true"] * 10, sex=None)
    assert table.load(params(), path).class_names == ("false", "true")


def test_public_scales_and_categories_are_those_that_were_given(tmp_path):
    path = csv(tmp_path / "t.csv", age=["", *range(21, 20 + ROWS)], sex=["x", *["f", "m"] * 19, ""])
    dataset = table.load(params(scales=AGES, categories=SEXES), path)
    np.testing.assert_allclose(dataset.images[:, 0], [0, *((np.arange(21, 20 + ROWS) - 40) / 8)], rtol=1e-6)
    np.testing.assert_array_equal(dataset.images[:, 1:], [[0, 0], *[[1, 0], [0, 1]] * 19, [0, 0]])


def test_a_public_split_scales_all_rows(tmp_path):
    path = csv(tmp_path / "t.csv", sex=["f", "m"] * 5 + ["x"] * 10 + ["m"] * 20, part=PUBLIC)
    dataset = table.load(params(**THREE, fit_split="public"), path)
    public = dataset.images[list(dataset.splits["public"])]
    assert dataset.images.shape == (ROWS, 3)
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
