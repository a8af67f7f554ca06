"""Labels and memberships as they come: what is taken, what is refused with a word on what the tool is for."""

import numpy as np
import pytest

from privacy_report.audits.audit_file import audit_file
from privacy_report.audits.labels import PURPOSE, as_bools, labels_of
from privacy_report.errors import UserError

CLASSES = np.array(["cat", "dog", "bird"])
TRUTH = np.array([0, 2, 1, 1])
TAKEN = {
    "one-hot integers": np.eye(3, dtype=int)[TRUTH],
    "one-hot floats": np.eye(3, dtype=np.float32)[TRUTH],
    "one-hot bools": np.eye(3, dtype=bool)[TRUTH],
    "a column": TRUTH[:, None],
    "whole floats": TRUTH.astype(float),
    "text": CLASSES[TRUTH],
    "pandas text": CLASSES[TRUTH].astype(object),
    "pandas integers": TRUTH.astype(object),
    "pandas floats": TRUTH.astype(float).astype(object),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_is_unambiguous_is_taken(case):
    labels = labels_of(TAKEN[case], 3, CLASSES, "labels")
    assert labels.dtype.kind == "i"
    assert labels.tolist() == TRUTH.tolist()


OBJECTS = "labels are Python objects"
REFUSED = {
    "several classes a row": (np.array([[1, 1, 0], [0, 1, 0]]), rf"multi-label\?\): {PURPOSE}"),
    "no class in a row": (np.array([[0, 0, 0], [0, 1, 0]]), rf"multi-label\?\): {PURPOSE}"),
    "tokens": (
        np.array([[5, 17, 2], [3, 3, 3]]),
        rf"int64 \(2, 3\), several numbers per row \(tokens\?\): {PURPOSE}",
    ),
    "several targets": (
        np.array([[0.5, 1.2, 2.0]]),
        rf"several numbers per row \(of a regression\?\): {PURPOSE}",
    ),
    "one target": (np.array([0.5, 1.0]), rf"float64 that are not whole: of a regression\? {PURPOSE}"),
    "one-hot of other classes": (np.eye(4, dtype=int), "one-hot of 4 classes, the outputs have 3 columns"),
    "unknown text": (np.array(["cow"]), "labels got 'cow', allowed: cat, dog, bird"),
    "text and numbers": (
        np.array(["cat", 1], dtype=object),
        rf"{OBJECTS} \(int, str\), allowed: all text, or all",
    ),
    "several texts": (
        np.array([["cat", "dog"], ["cat", "cat"]]),
        r"got text \(2, 2\), several labels per row: ",
    ),
    "missing text": (np.array(["cat", None], dtype=object), rf"{OBJECTS} \(NoneType, str\)"),
    "bools and integers": (np.array([True, 1], dtype=object), rf"{OBJECTS} \(bool, int\)"),
    "NaN": (np.array([0.0, np.nan]), "not whole"),
}


def test_a_class_has_one_name():
    with pytest.raises(UserError, match=r"^classes: got \['a', 'b', 'a'\], allowed: each name once$"):
        labels_of(np.array(["a"]), 3, np.array(["a", "b", "a"]), "labels")


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_is_one_line(case):
    labels, said = REFUSED[case]
    with pytest.raises(UserError, match=said.replace("(n, n_classes)", r"\(n, n_classes\)")) as caught:
        labels_of(labels, 3, CLASSES, "labels")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", [bool, int, float, np.uint8, object])
def test_memberships_are_bools_or_0_and_1(form):
    memberships = as_bools(np.array([True, False, True]).astype(form), "mask")
    assert memberships.dtype == bool
    assert memberships.tolist() == [True, False, True]


@pytest.mark.parametrize(("values", "wrong"), [([0, 1, 2], "2"), ([-1, 1], "-1"), ([0.5, 1.0], "0.5")])
def test_other_memberships_are_refused(values, wrong):
    with pytest.raises(UserError, match=f"^mask must be bool, or 0 and 1, got {wrong}$"):
        as_bools(np.array(values), "mask")


def a_file(**changes):
    rng = np.random.default_rng(0)
    given = {f"{side}_logits": rng.normal(size=(30, 3)) for side in ("member", "nonmember")}
    return given | {f"{side}_labels": rng.integers(0, 3, 30) for side in ("member", "nonmember")} | changes


def test_canaries_of_a_file_may_be_0_and_1():
    coins = np.random.default_rng(1).integers(0, 2, 30)
    file = audit_file({"canary_scores": np.arange(30.0), "canary_is_member": coins}, "c")
    np.testing.assert_array_equal(file.canaries[1], coins.astype(bool))
    masks = {"member_is_canary": coins, "nonmember_is_canary": 1 - coins}
    assert len(audit_file(a_file(**masks), "c").canaries.labels) == 30


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"member_logits": np.zeros((30, 7, 3))},
            r"m: member_logits: got float64 \(30, 7, 3\).*tokens\?\): ",
        ),
        ({"member_probs": np.zeros((30, 7, 3))}, r"m: member_probs: got float64 \(30, 7, 3\).*tokens\?\): "),
        (
            {f"{side}_logits": np.zeros((30, 1)) for side in ("member", "nonmember")}
            | {f"{side}_labels": np.arange(30) for side in ("member", "nonmember")},
            r"m: member_labels must be 0 or 1 where there is one output per row, got 0\.\.29 \(.*\): ",
        ),
    ],
)
def test_outputs_of_other_models_are_one_line(changes, said):
    with pytest.raises(UserError, match=said + "privacy-report audits classifiers"):
        audit_file(a_file(**changes), "m")
