"""Trained attackers: scikit-learn classifiers whose every score comes from a model that did not see it.

The examples are cut into blocks that each hold the same share of both sides. Block k is scored by a
model trained on blocks 0..k-1, and block 0, which has no past, by one trained on all the others. Scores
become ranks within their block, which makes blocks comparable.

Why not plain cross-fitting: there every pair of folds is used twice (once each way), so under the null
fold statistics are correlated and pooled AUCs are over-dispersed by up to sqrt(2). Going forward only,
the ranks of a block are exchangeable between members and non-members *given* all earlier blocks,
so blocks 1, 2, ... are exactly independent under the null, and the usual intervals and p-values
hold on them. Block 0 gets a score for its examples' own risk, but does not vote.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from stages.attack.schema import Estimator
from stages.errors import UserError


def load_estimator(estimator: Estimator) -> type:
    """The class behind an import path; UserError when there is none, or it is no classifier."""
    module, _, name = estimator.path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"attack.estimators: cannot import {estimator.path} ({error})") from None
    if not (
        hasattr(found, "fit") and (hasattr(found, "predict_proba") or hasattr(found, "decision_function"))
    ):
        raise UserError(
            f"attack.estimators: {estimator.path} is no classifier with predict_proba or decision_function"
        )
    return found


def build(estimator: Estimator, seed: int) -> Any:
    """An unfitted classifier; `seed` is its random_state where it has one. UserError for bad settings."""
    settings = dict(estimator.settings)
    kind = load_estimator(estimator)
    if "random_state" in inspect.signature(kind).parameters:
        settings.setdefault("random_state", seed)
    try:
        return kind(**settings)
    except TypeError as error:
        raise UserError(f"attack.estimators: {estimator.path} refuses its settings ({error})") from None


def blocks(is_member: np.ndarray, n_blocks: int, rng: np.random.Generator) -> np.ndarray:
    """Block of each example, int (n,): both sides dealt out at random, counts differing by one at most."""
    block = np.empty(len(is_member), np.int64)
    for side in (True, False):
        rows = rng.permutation(np.flatnonzero(is_member == side))
        block[rows] = np.arange(len(rows))[::-1] % n_blocks
    return block


def forward_scores(
    X: np.ndarray, is_member: np.ndarray, estimator: Estimator, n_blocks: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One score per example from a model that did not see it, and which scores count as evidence.

    `X` float (n, n_features), `is_member` bool (n,) with at least `n_blocks` of each side. Returns ranks
    within blocks scaled to (0, 1), float (n,), and bool (n,): all blocks but the first.
    """
    block = blocks(is_member, n_blocks, rng)
    seeds = rng.integers(2**31, size=n_blocks)
    scores = np.empty(len(X))
    for k in range(n_blocks):
        past = block < k if k else block > 0
        now = block == k
        raw = _fit_and_score(X[past], is_member[past], X[now], build(estimator, int(seeds[k])))
        scores[now] = (rankdata(raw) - 0.5) / len(raw)
    return scores, block > 0


def _fit_and_score(X: np.ndarray, is_member: np.ndarray, new: np.ndarray, model: Any) -> np.ndarray:
    """Scores of new rows; features scaled by the training rows, sides balanced by weights."""
    scaler = StandardScaler().fit(X)
    settings = {}
    if "sample_weight" in inspect.signature(model.fit).parameters:
        settings["sample_weight"] = compute_sample_weight("balanced", is_member)
    with warnings.catch_warnings():
        # An attacker that stops early is still an attacker: its scores are judged, not its optimum.
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            model.fit(scaler.transform(X), is_member, **settings)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"attack.estimators: {type(model).__name__}: {' '.join(str(error).split())}"
            ) from None
    new = scaler.transform(new)
    raw = (
        model.decision_function(new)
        if hasattr(model, "decision_function")
        else model.predict_proba(new)[:, 1]
    )
    return np.asarray(raw, float)
