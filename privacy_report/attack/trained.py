"""Trained attackers: scikit-learn classifiers whose every score comes from a model that did not see it.

The examples are cut into blocks that each hold the same share of both sides. Block k is scored by a
model trained on blocks 0..k-1; block 0, which has no past, only trains. Scores become ranks within
their block, which makes blocks comparable.

Why not plain cross-fitting: there every pair of folds is used twice (once each way), so under the null
fold statistics are correlated and pooled AUCs are over-dispersed by up to sqrt(2). Going forward only,
the ranks of a block are exchangeable between members and non-members *given* all earlier blocks,
so blocks 1, 2, ... are exactly independent under the null, and the usual intervals and p-values
hold on them.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any

import numpy as np
from sklearn import config_context
from threadpoolctl import ThreadpoolController

from privacy_report.attack.estimator import Estimator
from privacy_report.errors import UserError, one_line

SCORING = ("decision_function", "predict_proba")
ROUNDING = 1e-12
CONSTANT = 1e-12
"""Of its mean: a feature with a smaller deviation is constant, up to rounding."""
"""Scores are log odds or probabilities: what differs by less, next to the largest or to 1, is rounding."""


def load_estimator(estimator: Estimator) -> type:
    """The class behind an import path; UserError when there is none, or it is no classifier."""
    module, _, name = estimator.path.rpartition(".")
    try:
        classifier = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"attack.estimators: cannot import {estimator.path} ({error})") from None
    if not (
        hasattr(classifier, "fit")
        and (hasattr(classifier, "predict_proba") or hasattr(classifier, "decision_function"))
    ):
        raise UserError(
            f"attack.estimators: {estimator.path} is no classifier with fit and {' or '.join(SCORING)}"
        )
    return classifier


def build(estimator: Estimator, seed: int) -> Any:
    """An unfitted classifier; `seed` is its random_state where it has one. UserError for bad settings."""
    settings = dict(estimator.settings)
    kind = load_estimator(estimator)
    if _takes_seed(kind):
        settings.setdefault("random_state", seed)
    try:
        return kind(**settings)
    except TypeError as error:
        raise UserError(f"attack.estimators: {estimator.path} refuses its settings ({error})") from None


def blocks(
    is_member: np.ndarray, n_blocks: int, rng: np.random.Generator, persons: np.ndarray | None = None
) -> np.ndarray:
    """Block of each example, int (n,): both sides dealt out at random, counts differing by one at most.

    persons int (n,): whose each example is. They are dealt out, each with all examples; None: the examples.
    """
    person = np.arange(len(is_member)) if persons is None else np.unique(persons, return_inverse=True)[1]
    member = np.empty(person.max() + 1, bool)
    member[person] = is_member
    block = np.empty(len(member), np.int64)
    for side in (True, False):
        dealt = rng.permutation(np.flatnonzero(member == side))
        block[dealt] = np.arange(len(dealt))[::-1] % n_blocks
    return block[person]


def scores(
    X: np.ndarray,
    is_member: np.ndarray,
    settings: Mapping[str, Any],
    seed: list[int],
    persons: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`forward_scores` with the settings `path`, `settings` (of the estimator) and `folds`."""
    estimator = Estimator(settings["path"], dict(settings["settings"]))
    return forward_scores(X, is_member, estimator, settings["folds"], np.random.default_rng(seed), persons)


def forward_scores(
    X: np.ndarray,
    is_member: np.ndarray,
    estimator: Estimator,
    n_blocks: int,
    rng: np.random.Generator,
    persons: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """One score for each example that is not in the first block, from a model that did not see it.

    `X` float (n, n_features), `is_member` bool (n,) with at least `n_blocks` of each side, of persons where
    there are any: see `blocks`. Returns ranks within blocks scaled to (0, 1), float (n,), NaN in the first
    block, and bool (n,): who has a score.
    """
    block = blocks(is_member, n_blocks, rng, persons)
    seeds = rng.integers(2**31, size=n_blocks)
    scores = np.full(len(X), np.nan)
    for k in range(1, n_blocks):
        past, now = block < k, np.flatnonzero(block == k)
        model = build(estimator, int(seeds[k]))
        raw = fit_and_score(X[past], is_member[past], X[now], model)
        scores[now] = (ranks(raw) - 0.5) / len(raw)
    return scores, block > 0


def ranks(raw: np.ndarray) -> np.ndarray:
    """Ranks from 1, float (n,); scores that differ by rounding alone tie and share their mean rank.

    Equal rows must tie, and in a product of matrices the last digits depend on a row's position.
    """
    order = np.argsort(raw)
    ascending = raw[order]
    apart = np.diff(ascending) > ROUNDING * max(1.0, abs(ascending[0]), abs(ascending[-1]))
    last = np.flatnonzero(np.append(apart, True))
    counts = np.diff(last, prepend=-1)
    ranks = np.empty(len(raw))
    ranks[order] = np.repeat(last + 1 - (counts - 1) / 2, counts)
    return ranks


def fit_and_score(X: np.ndarray, is_member: np.ndarray, new: np.ndarray, model: Any) -> np.ndarray:
    """Scores of new rows, by one thread; features scaled by the training rows, sides balanced by weights.

    One thread, since these fits are small: threads that wait for each other on a busy machine cost more than
    they bring (gradient boosting on two cores that others used took 20 times the time), and a sum's last
    digits depend on their number.
    """
    mean = X.mean(axis=0)
    X = X - mean
    scale = np.sqrt(np.einsum("ij,ij->j", X, X) / len(X))
    scale[scale <= CONSTANT * np.abs(mean)] = 1.0
    X /= scale
    if isinstance(getattr(model, "n_neighbors", None), int):
        # The first block of a small slice may hold fewer examples than neighbours are asked for.
        model.set_params(n_neighbors=min(model.n_neighbors, len(X)))
    one_thread = _thread_pools(type(model)).limit(limits=1)  # type: ignore[arg-type]
    with one_thread, warnings.catch_warnings(), config_context(assume_finite=True):
        # An attacker that stops early is still an attacker: its scores are judged, not its optimum.
        warnings.simplefilter("ignore", UserWarning)
        try:
            model.fit(X, is_member, **_balance(model, is_member))
            new = new - mean
            new /= scale
            raw = _decision(model, new)
        except (TypeError, ValueError) as error:
            reason = one_line(error)
            raise UserError(f"attack.estimators: {type(model).__name__}: {reason}") from None
    if not np.isfinite(raw).all():
        name = type(model).__name__
        raise UserError(f"attack.estimators: {name}: got scores that are not finite, allowed: finite ones")
    return raw


def _decision(model: Any, rows: np.ndarray) -> np.ndarray:
    if hasattr(model, "decision_function"):
        return np.asarray(model.decision_function(rows), float)
    return np.asarray(model.predict_proba(rows)[:, 1], float)


def _balance(model: object, is_member: np.ndarray) -> dict[str, np.ndarray]:
    """The fit argument that gives both sides the same total weight, where the classifier takes one."""
    if not _takes_weights(type(model)):  # type: ignore[arg-type]
        return {}
    share = is_member.mean()
    return {"sample_weight": np.where(is_member, 0.5 / share, 0.5 / (1.0 - share))}


@cache
def _thread_pools(kind: Hashable) -> ThreadpoolController:
    """The pools of BLAS and OpenMP, looked for (5 ms) once a kind of classifier, which may load its own."""
    return ThreadpoolController()


@cache
def _takes_weights(kind: Hashable) -> bool:
    return "sample_weight" in inspect.signature(kind.fit).parameters  # type: ignore[attr-defined]


@cache
def _takes_seed(kind: type) -> bool:
    return "random_state" in inspect.signature(kind).parameters
