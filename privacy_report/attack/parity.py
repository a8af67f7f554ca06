"""Mode `parity`: the semantics of tensorflow_privacy's membership_inference_attack, its faults included.

For comparing with old reports only. Its trained attackers report leakage where there is none: members
left out by the balancing are all scored by the last fold's model, and one ROC pools scores of
different models. Written from the description of the procedure; the seed is explicit, not global.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

from privacy_report.attack import intervals, roc, rowwise, signals
from privacy_report.attack.measures import row_of_curve
from privacy_report.attack.signals import Examples
from privacy_report.attack.smirnov import p_value
from privacy_report.pipeline.outputs import Outputs
from privacy_report.pipeline.tables import Row

Scored = tuple[np.ndarray, np.ndarray]
"""Scores (n,), and bool (n,): who has one."""
TOP = 5
"""The reference lists this many of the largest epsilon bounds; the largest of them is reported here."""


def softmax(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probabilities in float32 (n, n_classes)."""
    logits = logits.astype(np.float32)
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def clipped_loss(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-log(max(p[label], 1e-8)), float32 (n,): lower for likelier members."""
    p = softmax(logits, labels)[np.arange(len(labels)), labels]
    return -np.log(np.maximum(p, 1e-8))


def modified_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The modified entropy with the reference's clipping at 1e-30, float32 (n,)."""
    p, rows = softmax(logits, labels), np.arange(len(labels))

    def log(value: np.ndarray) -> np.ndarray:
        return -np.log(np.maximum(value, 1e-30))

    terms = p * log(1 - p)
    of_label = p[rows, labels]
    terms[rows, labels] = (1 - of_label) * log(of_label)
    return terms.sum(axis=1)


def risk_signal(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`rowwise.negative_modified_entropy` from the reference's probabilities and losses, float64 (n,)."""
    return rowwise.modified_entropy(softmax(logits, labels), clipped_loss(logits, labels), logits, labels)


class ParityExamples(Examples):
    """Examples with the reference's float32 softmax and clipped losses."""

    @property
    def risk_signal(self) -> np.ndarray:
        """What the membership probability is estimated from, float64 (n,)."""
        return self.by_row(risk_signal)

    @cached_property
    def loss(self) -> np.ndarray:
        """The reference's loss, float32 (n,)."""
        return self.by_row(clipped_loss)

    @property
    def features(self) -> np.ndarray:
        """What the reference's trained attackers see: probabilities and loss, float32 (n, n_classes + 1)."""
        return np.column_stack([self.by_row(softmax), self.loss])


def pool(outputs: Outputs) -> ParityExamples:
    """Both sides of a score file, members first."""
    examples = signals.pool(outputs)
    return ParityExamples(examples.logits, examples.labels, examples.is_member)


def negative_loss(examples: Examples) -> np.ndarray:
    """Minus the reference's loss (n,): higher for likelier members."""
    return -examples.loss


def negative_modified_entropy(examples: Examples) -> np.ndarray:
    """Minus the reference's modified entropy."""
    return -examples.by_row(modified_entropy)


def logistic(X: np.ndarray, is_member: np.ndarray, settings: Any, seed: list[int]) -> Scored:
    """Logistic regression by the reference's procedure; arguments as `registry.Attack` says."""
    return _trained(X, is_member, lambda _: LogisticRegression(solver="lbfgs"), LOGISTIC_GRID, seed)


def mlp(X: np.ndarray, is_member: np.ndarray, settings: Any, seed: list[int]) -> Scored:
    """A multi-layer perceptron by the reference's procedure."""
    return _trained(
        X, is_member, lambda state: MLPClassifier(solver="adam", random_state=state), MLP_GRID, seed
    )


def random_forest(X: np.ndarray, is_member: np.ndarray, settings: Any, seed: list[int]) -> Scored:
    """A random forest by the reference's procedure."""
    return _trained(
        X, is_member, lambda state: RandomForestClassifier(100, random_state=state), FOREST_GRID, seed
    )


def knn(X: np.ndarray, is_member: np.ndarray, settings: Any, seed: list[int]) -> Scored:
    """Nearest neighbours by the reference's procedure."""
    return _trained(X, is_member, lambda _: KNeighborsClassifier(), KNN_GRID, seed)


LOGISTIC_GRID = {"C": np.logspace(-4, 2, 10)}
MLP_GRID = {"hidden_layer_sizes": [(64,), (32, 32)], "alpha": [0.0001, 0.001, 0.01]}
FOREST_GRID = {"max_depth": [5, 10, 20, None], "min_samples_split": [2, 5, 10], "min_samples_leaf": [1, 2, 4]}
KNN_GRID = {"n_neighbors": [3, 5, 7]}


def _trained(
    X: np.ndarray, is_member: np.ndarray, make: Callable[[int], Any], grid: dict[str, Any], seed: list[int]
) -> Scored:
    state = int(np.random.SeedSequence(seed).generate_state(1)[0])
    return trained_scores(X, is_member, make, grid, state), np.ones(len(X), bool)


def trained_scores(
    X: np.ndarray, is_member: np.ndarray, make: Callable[[int], Any], grid: dict[str, Any], seed: int
) -> np.ndarray:
    """The reference's pooled scores (n,): predicted probability of membership.

    The larger side is subsampled to the smaller; two folds; a grid search (3-fold accuracy) in each; who was
    left out is scored by the last fold's model.
    """
    random = np.random.RandomState(seed)
    sides = [np.flatnonzero(is_member), np.flatnonzero(~is_member)]
    larger = int(len(sides[1]) > len(sides[0]))
    surplus = len(sides[larger]) - len(sides[1 - larger])
    left_out = np.array([], int)
    if surplus:
        shuffled = random.permutation(sides[larger])
        left_out, sides[larger] = shuffled[:surplus], shuffled[surplus:]
    rows = random.permutation(np.concatenate([sides[larger], sides[1 - larger]]))
    scores = np.empty(len(X))
    for train, test in StratifiedKFold(2, shuffle=False).split(X[rows], is_member[rows]):
        model = GridSearchCV(make(seed), grid, cv=3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X[rows[train]], is_member[rows[train]])
        scores[rows[test]] = model.predict_proba(X[rows[test]])[:, 1]
    if surplus:
        scores[left_out] = model.predict_proba(X[left_out])[:, 1]
    return scores


def measure(
    scores: np.ndarray, is_member: np.ndarray, selects: np.ndarray, ratio: float, delta: float
) -> Row:
    """METRICS plus `note` as the reference defines them, from descending scores.

    Advantage is max |TPR - FPR|. The reference has no intervals and no p-value: the columns hold those
    that a reader who trusts its scores would compute. It knows neither `selects` nor `ratio` nor `delta`.
    """
    curve = roc.sorted_roc(scores, is_member)
    row = row_of_curve(curve, curve.n_nonmember / curve.n_member)
    m, n = curve.n_member, curve.n_nonmember
    value = float(np.max(np.abs(curve.tpr - curve.fpr)))
    one_sided = p_value(int(np.max(np.abs(curve.tp * n - curve.fp * m))), m, n)
    low, high = intervals.advantage_interval(value, m, n, absolute=True)
    return row | {
        "advantage": value,
        "advantage_low": low,
        "advantage_high": high,
        "advantage_p": min(1.0, 2 * one_sided),
        "balanced_accuracy": (1 + value) / 2,
        "epsilon_fixed_split": max(0.0, float(epsilon_bounds(curve).max())),
    }


def epsilon_bounds(curve: roc.Roc, level: float = 0.05, most: int = TOP) -> np.ndarray:
    """The largest Bailey (1987) bounds of log tp/fp, tn/fn, fp/tp, fn/tn over all thresholds, descending."""
    tp, fp = curve.tp[1:], curve.fp[1:]
    m, n = curve.n_member, curve.n_nonmember
    tn, fn = n - fp, m - tp
    bounds = [_bailey(tp, m, fp, n, level), _bailey(tn, n, fn, m, level)]
    bounds += [_bailey(fp, n, tp, m, level), _bailey(fn, m, tn, n, level)]
    finite = np.concatenate(bounds)
    finite = finite[finite > 0]
    return np.sort(np.log(finite))[::-1][:most]


def _bailey(a: np.ndarray, n_a: int, b: np.ndarray, n_b: int, level: float) -> np.ndarray:
    """Bailey's lower bound of the ratio of two binomial proportions a / n_a and b / n_b; 0 where a is 0."""
    z = stats.norm.ppf(level)
    x = np.where(a == n_a, n_a - 0.5, a).astype(float)
    y = np.where(b == n_b, n_b - 0.5, np.where(b == 0, 0.5, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = x / n_a, y / n_b
        spread = (1 - p) / x + (1 - q) / y - z**2 * (1 - p) * (1 - q) / (9 * x * y)
        cube = (1 + z / 3 * np.sqrt(spread)) / (1 - z**2 * (1 - q) / (9 * y))
        return np.where(a == 0, 0.0, p / q * cube**3)
