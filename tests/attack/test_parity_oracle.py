"""Mode `parity` against slow versions of its formulas that share no code with it."""

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import auc as area
from sklearn.metrics import roc_curve

from privacy_report.attack import parity
from privacy_report.attack.checkpoint import attack_outputs
from privacy_report.attack.roc import roc_curve as curve_of
from privacy_report.attack.schema import AttackParams


def modified_entropy_one_by_one(logits, labels):
    """Song & Mittal's modified entropy of float32 probabilities, logarithms clipped at 1e-30, row by row."""
    values = []
    for row, label in zip(logits, labels, strict=True):
        exp = np.exp(row - row.max())
        value = 0.0
        for k, p in enumerate(exp / exp.sum()):
            if k == label:
                value += (1 - p) * -math.log(max(p, 1e-30))
            else:
                value += p * -math.log(max(1 - p, 1e-30))
        values.append(value)
    return np.array(values)


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_the_entropy_attack_is_modified_entropy(outputs, scale):
    """At scale 40 many probabilities are 0 or 1 in float32, which the clipping is for."""
    some = outputs(n_member=900, n_nonmember=300, shift=0.7)
    some.member_logits[:] *= scale
    some.nonmember_logits[:] *= scale
    scores = [
        -modified_entropy_one_by_one(logits, labels)
        for logits, labels in (
            (some.member_logits, some.member_labels),
            (some.nonmember_logits, some.nonmember_labels),
        )
    ]
    fpr, tpr, _ = roc_curve(np.repeat([1, 0], [900, 300]), np.concatenate(scores))
    config = AttackParams(mode="parity", attacks=["threshold_entropy"], slices=["entire"])
    row = attack_outputs(some, config, with_halves=False).rows[0]
    # Values that float32 rounds differently may trade places with a neighbour: a pair is 4e-6 of the AUC.
    assert row["auc"] == pytest.approx(area(fpr, tpr), abs=1e-4)
    assert row["advantage"] == pytest.approx(np.abs(tpr - fpr).max(), abs=4e-3)
    assert area(fpr, tpr) > 0.55


def bailey(a, n_a, b, n_b):
    """Bailey's (1987) lower 95% bound of the ratio of proportions a / n_a and b / n_b, from scalars."""
    if a == 0:
        return 0.0
    a = a - 0.5 if a == n_a else a
    b = b - 0.5 if b == n_b else max(b, 0.5)
    z, p, q = -1.6448536269514722, a / n_a, b / n_b
    below, above = (1 - p) / a, (1 - q) / b
    root = math.sqrt(below + above - z * z * below * above / 9)
    return p / q * ((1 + z * root / 3) / (1 - z * z * above / 9)) ** 3


def bounds_one_by_one(members, nonmembers):
    """The five largest log bounds over all thresholds and ratios tp/fp, tn/fn, fp/tp, fn/tn; and which."""
    m, n, bounds = len(members), len(nonmembers), []
    for threshold in np.unique(np.concatenate([members, nonmembers])):
        tp, fp = int(np.sum(members >= threshold)), int(np.sum(nonmembers >= threshold))
        ratios = {
            "tp/fp": bailey(tp, m, fp, n),
            "tn/fn": bailey(n - fp, n, m - tp, m),
            "fp/tp": bailey(fp, n, tp, m),
            "fn/tn": bailey(m - tp, m, n - fp, n),
        }
        bounds += [(math.log(value), name) for name, value in ratios.items() if value > 0]
    return sorted(bounds, reverse=True)[:5]


def stand_out(rng, where, n=300):
    """Scores of one distribution, except for a fifth of them at the top or at the bottom."""
    scores = rng.integers(0, 40, n).astype(float)
    scores[: n // 5] = {"top": 100.0, "bottom": -100.0}[where]
    return scores


@pytest.mark.parametrize(
    ("side", "where", "ratio"),
    [
        ("member", "top", "tp/fp"),
        ("nonmember", "bottom", "tn/fn"),
        ("nonmember", "top", "fp/tp"),
        ("member", "bottom", "fn/tn"),
    ],
)
def test_each_of_the_four_ratios_can_be_the_largest(side, where, ratio):
    rng = np.random.default_rng(0)
    outliers, others = stand_out(rng, where), rng.integers(0, 40, 200).astype(float)
    members, nonmembers = (outliers, others) if side == "member" else (others, outliers)
    expected = bounds_one_by_one(members, nonmembers)
    assert expected[0][1] == ratio
    bounds = parity.epsilon_bounds(curve_of(members, nonmembers))
    np.testing.assert_allclose(bounds, [value for value, _ in expected], rtol=1e-9)


def test_bounds_against_all_thresholds_one_by_one():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        members, nonmembers = rng.normal(0.5, 1, 90).round(1), rng.normal(0, 1, 60).round(1)
        bounds = parity.epsilon_bounds(curve_of(members, nonmembers))
        expected = [value for value, _ in bounds_one_by_one(members, nonmembers)]
        np.testing.assert_allclose(bounds, expected, rtol=1e-9)


def folds(y, k):
    """Consecutive folds that deal out each class in turn, as StratifiedKFold without shuffling does."""
    order = np.sort(np.unique(y, return_inverse=True)[1])
    sizes = np.array([np.bincount(order[i::k], minlength=2) for i in range(k)])
    first = list(dict.fromkeys(y.tolist()))
    fold = np.empty(len(y), int)
    for rank, value in enumerate(first):
        fold[y == value] = np.repeat(np.arange(k), sizes[:, rank])
    return fold


def logistic_by_hand(X, is_member, new):
    """Probabilities by the C of 10^(-4 + 2i/3), i = 0..9, with the best mean accuracy in three folds."""
    fold, accuracies = folds(is_member, 3), []
    grid = [10 ** (-4 + 2 * i / 3) for i in range(10)]
    for C in grid:
        fold_accuracies = []
        for k in range(3):
            model = LogisticRegression(C=C).fit(X[fold != k], is_member[fold != k])
            fold_accuracies.append(np.mean(model.predict(X[fold == k]) == is_member[fold == k]))
        accuracies.append(np.mean(fold_accuracies))
    best = grid[int(np.argmax(np.round(accuracies, 12)))]
    return LogisticRegression(C=best).fit(X, is_member).predict_proba(new)[:, 1], best


@pytest.mark.parametrize(("spread", "expected"), [(0.002, 10 ** (2 / 3)), (1.0, 1e-4)])
def test_the_logistic_attack_takes_the_best_c_of_a_three_fold_search(spread, expected):
    """Where features are tiny a large C wins, where one of many separates the sides the smallest does."""
    rng = np.random.default_rng(0)
    is_member = np.arange(120) < 60
    X = rng.normal(size=(120, 30))
    X[:, 0] += 20 * is_member if spread == 1.0 else 3 * is_member
    X *= spread
    scores = parity.trained_scores(X, is_member, lambda _: LogisticRegression(), parity.LOGISTIC_GRID, seed=3)
    rows = np.random.RandomState(3).permutation(120)  # two equal sides: nobody is left out
    half, chosen = folds(is_member[rows], 2), []
    for k in range(2):
        train, test = rows[half != k], rows[half == k]
        values, best = logistic_by_hand(X[train], is_member[train], X[test])
        np.testing.assert_allclose(scores[test], values, rtol=1e-6)
        chosen.append(best)
    assert chosen == pytest.approx([expected] * 2)


def test_the_logistic_attack_makes_62_fits_with_ten_values_of_c(monkeypatch, outputs):
    seen = []

    class Counting(LogisticRegression):
        def fit(self, X, y):
            seen.append((self.C, X.shape))
            return super().fit(X, y)

    monkeypatch.setattr(parity, "LogisticRegression", Counting)
    config = AttackParams(mode="parity", attacks=["logistic"], slices=["entire"])
    attack_outputs(outputs(n_member=60, n_nonmember=40), config, with_halves=False)
    assert len(seen) == 62
    searched = [C for C, shape in seen if shape[0] < 40]  # 40 rows are the best C's, all of a fold
    assert len(searched) == 60
    np.testing.assert_allclose(np.unique(searched), [10 ** (-4 + 2 * i / 3) for i in range(10)])
