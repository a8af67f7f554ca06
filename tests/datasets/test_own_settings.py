"""Settings of a user's own data, and what equals a member."""

import numpy as np
import pytest
from own_examples import ONE_SPLIT, refused

from privacy_report.datasets import duplicates, splits
from privacy_report.datasets.schema import DatasetParams

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
        ({"name": "arrays", "path": "."}, "path: got '.', allowed"),
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
