"""The reference's formulas (mode `parity`), computed independently with sklearn."""

import numpy as np
import pytest
from sklearn.metrics import auc as area
from sklearn.metrics import roc_curve

from privacy_report.attack import parity
from privacy_report.attack.checkpoint import attack_outputs
from privacy_report.attack.intervals import advantage_interval
from privacy_report.attack.measures import BACKWARDS
from privacy_report.attack.parity import epsilon_bounds, trained_scores
from privacy_report.attack.roc import roc_curve as our_curve
from privacy_report.attack.schema import AttackParams


def curve_by_sklearn(outputs):
    """roc_curve(is_member, -loss), loss of the float32 softmax clipped at 1e-8."""
    losses = []
    for logits, labels in (
        (outputs.member_logits, outputs.member_labels),
        (outputs.nonmember_logits, outputs.nonmember_labels),
    ):
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = (exp / exp.sum(axis=1, keepdims=True))[np.arange(len(labels)), labels]
        losses.append(-np.log(np.maximum(p, 1e-8)))
    is_member = np.repeat([1, 0], [len(losses[0]), len(losses[1])])
    fpr, tpr, _ = roc_curve(is_member, -np.concatenate(losses))
    return fpr, tpr


@pytest.mark.parametrize("shift", [-0.5, 0.0, 1.5])
def test_threshold_attack_agrees_to_1e_9(outputs, shift):
    some = outputs(n_member=3000, n_nonmember=700, shift=shift)
    fpr, tpr = curve_by_sklearn(some)
    config = AttackParams(mode="parity", attacks=["threshold"], slices=["entire"])
    row = attack_outputs(some, config).rows[0]
    ratio = 700 / 3000
    with np.errstate(invalid="ignore"):
        ppv = tpr / (tpr + fpr * ratio)
    ppv[(tpr <= 1e-3) & (fpr <= 1e-3)] = 1 / (1 + ratio)
    assert row["auc"] == pytest.approx(area(fpr, tpr), abs=1e-9)
    assert row["advantage"] == pytest.approx(np.max(np.abs(tpr - fpr)), abs=1e-9)
    interval = advantage_interval(row["advantage"], 3000, 700, absolute=True)
    assert (row["advantage_low"], row["advantage_high"]) == interval
    assert row["ppv"] == pytest.approx(ppv.max(), abs=1e-9)


def test_left_out_members_are_scored_by_the_last_fold(monkeypatch):
    X, is_member = np.arange(70.0)[:, None], np.arange(70) < 50
    models = []

    class Search:
        def __init__(self, estimator, grid, cv):
            assert cv == 3

        def fit(self, X, y):
            models.append(X[:, 0])
            assert y.mean() == 0.5

        def predict_proba(self, X):
            return np.column_stack([np.zeros(len(X)), np.full(len(X), len(models))])

    monkeypatch.setattr("privacy_report.attack.parity.GridSearchCV", Search)
    scores = trained_scores(X, is_member, lambda seed: None, {}, seed=0)
    assert [len(rows) for rows in models] == [20, 20]
    assert not set(models[0]) & set(models[1])
    left_out = np.setdiff1d(X[:, 0], np.concatenate(models)).astype(int)
    assert len(left_out) == 30
    assert is_member[left_out].all()
    assert (scores[left_out] == 2).all()
    assert np.sum(scores == 1) == 20


def test_logistic_regression_is_deterministic_given_its_seed(outputs):
    some = outputs(n_member=60, n_nonmember=40)
    runs = [
        attack_outputs(some, AttackParams(mode="parity", attacks=["logistic"], slices=["entire"], seed=seed))
        for seed in (0, 0, 1)
    ]
    assert runs[0].rows == runs[1].rows
    assert runs[0].rows != runs[2].rows
    assert "not valid" in runs[0].rows[0]["note"]


def test_scores_below_chance_are_an_advantage_in_parity_and_not_by_default(outputs):
    some = outputs(n_member=600, n_nonmember=400, shift=-2.0)
    rows = {
        mode: attack_outputs(some, AttackParams(mode=mode, attacks=["threshold"], slices=["entire"])).rows[0]
        for mode in ("default", "parity")
    }
    assert BACKWARDS in rows["default"]["note"]
    assert BACKWARDS not in rows["parity"]["note"]
    assert rows["parity"]["advantage"] > 0.3 > rows["default"]["advantage"]


def test_bailey_bound_by_hand():
    # One threshold with tp = 100 of 110 and fp = 10 of 80: Bailey's bound of the ratio is 4.61954.
    members, nonmembers = np.repeat([1.0, 0.0], [100, 10]), np.repeat([1.0, 0.0], [10, 70])
    bounds = epsilon_bounds(our_curve(members, nonmembers))
    assert np.isclose(bounds, np.log(4.61953896)).any()
    assert (np.diff(bounds) <= 0).all()


def test_trained_attackers_see_what_the_references_do(outputs):
    """Ten probabilities and the loss, unscaled and unbounded: not what the default's attackers see."""
    made = outputs(n_classes=10)
    examples = parity.pool(made)
    assert examples.features.shape == (600, 11)
    np.testing.assert_array_equal(examples.features[:, :10], examples.by_row(parity.softmax))
    np.testing.assert_array_equal(examples.features[:, 10], examples.loss)
