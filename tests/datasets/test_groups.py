"""Groups that columns of a table say: read, and written as numbers."""

import numpy as np
import pytest
from own_examples import ONE_SPLIT, refused

from privacy_report.datasets import preparation, splits, table
from privacy_report.datasets.schema import DatasetParams

ROWS = 40
SEX = ["f", "m", "", "f"] * 10
CLINIC = [i % 7 for i in range(ROWS)]


def csv_of(path, **columns):
    base = {"age": [20 + i % 13 for i in range(ROWS)], "ill": [0, 1] * 20, "sex": SEX, "clinic": CLINIC}
    columns = base | columns
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def params(**changes):
    settings = {"path": "own_data/t.csv", "label": "ill", "groups": ["sex", "clinic"]} | ONE_SPLIT
    return DatasetParams("table", **(settings | changes))


def written(folder, asked):
    dataset = table.load(asked, csv_of(folder / "t.csv"))
    both = splits.membership(asked, dataset.splits, dataset.labels)
    return dataset, both, preparation.write(folder, "mine", dataset, both)


def test_columns_say_groups_and_are_features_unless_they_are_dropped(tmp_path):
    path = csv_of(tmp_path / "t.csv")
    dataset = table.load(params(), path)
    assert dataset.groups["sex"].tolist() == SEX
    assert dataset.groups["clinic"].tolist() == list(map(str, CLINIC))
    plain = table.load(params(groups=[]), path)
    np.testing.assert_array_equal(dataset.images, plain.images)
    assert plain.groups == {}
    dropped = table.load(params(drop=["sex", "clinic"]), path)
    assert dropped.groups.keys() == dataset.groups.keys()
    assert dropped.images.shape == (ROWS, 1)


def test_rows_of_a_split_keep_their_groups(tmp_path):
    split_column = ["old", "new"] * 20
    asked = params(split="part", member_split="old", nonmember_split="new", member_fraction=None)
    dataset = table.load(asked, csv_of(tmp_path / "t.csv", part=split_column))
    order = np.argsort(np.array(split_column) == "new", kind="stable")
    assert dataset.groups["sex"].tolist() == np.array(SEX)[order].tolist()


@pytest.mark.parametrize(
    ("changes", "columns", "words"),
    [
        ({"groups": ["x"]}, {}, r"dataset\.groups: .* has no column 'x'"),
        ({"groups": ["age"]}, {"age": [0.5] * ROWS}, "holds 0.5, allowed: whole numbers or texts"),
        ({"groups": ["clinic"]}, {"clinic": range(200, 240)}, "has 40 values, allowed: 20"),
        ({"groups": ["sex"]}, {"sex": ["a\u0007"] * ROWS}, "allowed: printable characters"),
    ],
)
def test_columns_that_are_no_groups_are_refused(changes, columns, words, tmp_path, monkeypatch):
    monkeypatch.setattr(table, "MOST_CATEGORIES", 20)
    refused(words, lambda: table.load(params(**changes), csv_of(tmp_path / "t.csv", **columns)))


@pytest.mark.parametrize("groups", [["sex", "sex"], ["ill"], ["who"]])
def test_settings_are_checked(groups):
    refused("groups", lambda: params(groups=groups, person="who"))
    refused("groups", lambda: DatasetParams("digits", **ONE_SPLIT, groups=groups))


def test_a_column_without_any_value_has_no_group(tmp_path):
    dataset = table.load(
        params(groups=["clinic"], drop=["clinic"]), csv_of(tmp_path / "t.csv", clinic=[""] * ROWS)
    )
    both = splits.membership(params(), dataset.splits, dataset.labels)
    about = preparation.write(tmp_path, "mine", dataset, both)
    assert about["groups"] == [{"column": "clinic", "values": []}]
    assert (np.load(tmp_path / "group.npy") == -1).all()


def test_numbers_are_written_with_their_names_and_nothing_without_groups(tmp_path):
    dataset, _, about = written(tmp_path, params())
    columns = np.load(tmp_path / "group.npy")
    assert columns.dtype == np.int32
    assert [group["column"] for group in about["groups"]] == ["sex", "clinic"]
    for group, codes in zip(about["groups"], columns.T, strict=True):
        said = [group["values"][code] if code >= 0 else "" for code in codes]
        assert said == dataset.groups[group["column"]].tolist()
    _, _, without = written(tmp_path, params(groups=[]))
    assert "groups" not in without
    assert not (tmp_path / "group.npy").exists()
    assert about["digest"] != without["digest"]
