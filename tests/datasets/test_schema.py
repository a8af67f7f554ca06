"""The section `dataset`: each impossible value is one line that names the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from privacy_report.datasets.schema import DatasetParams
from privacy_report.errors import UserError
from privacy_report.pipeline.params import check

CONF = Path(__file__).parents[2] / "conf" / "dataset"


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({}, r"dataset\.name: .*missing"),
        ({"name": "mnist", "splits": 1}, r"dataset\.splits: unknown key, allowed: name, member_split"),
        ({"name": "../etc"}, r"dataset\.name: got '\.\./etc', allowed: cifar10, digits, or"),
        ({"name": "mnist/../.."}, r"dataset\.name: got"),
        ({"name": ""}, r"dataset\.name: got ''"),
        ({"name": "mnist", "seed": -1}, r"dataset\.seed: got -1, allowed: an integer of at least 0"),
        ({"name": "mnist", "seed": "x"}, r"dataset\.seed: "),
        (
            {"name": "mnist", "member_fraction": 0.5},
            r"dataset\.member_fraction: got 0\.5, allowed: null where",
        ),
        (
            {"name": "x", "nonmember_split": "train"},
            r"dataset\.member_fraction: got None, allowed: between 0 and 1",
        ),
        (
            {"name": "x", "nonmember_split": "train", "member_fraction": 1.0},
            r"member_fraction: got 1\.0, allowed",
        ),
        (
            {"name": "x", "nonmember_split": "train", "member_fraction": float("nan")},
            r"member_fraction: got nan",
        ),
    ],
)
def test_impossible_values_are_refused(values: dict[str, Any], match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        check("dataset", values, DatasetParams)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_conf_fits_the_schema(path: Path) -> None:
    values = yaml.safe_load(path.read_text())
    assert {"name", "member_split"} <= set(values) <= set(DatasetParams.__dataclass_fields__)
    assert check("dataset", values, DatasetParams).name in (path.stem, "mnist")
