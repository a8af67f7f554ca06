"""Do canaries that are chosen by a model of other data show more than mislabelled ones drawn at random?

Digits, epsilon 8, ten seeds; in each, three kinds of canaries with the same coins, noise and batches:

- mislabelled: of random members, with a random wrong label: the kind of the library;
- least likely: the same members, with the wrong label that a model of the non-members finds least likely;
- influential: that label; each in another cluster of that model's embeddings of the members, where its
  influence on the last layer is largest: h^T A^-1 h, A = the non-members' sum of h h^T plus a ridge.

The model of the non-members sees no member in training. Who becomes a canary is settled before any coin.

`python -m benchmarks.better_canaries` writes benchmarks/better_canaries.json, seed by seed; seeds that are
there already are not run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import roc_auc_score

from benchmarks import broken_trainer
from benchmarks.many_seeds import ManySeeds
from privacy_report.attack.canaries import audit_coins
from privacy_report.attack.signals import Examples, negative_loss
from privacy_report.datasets import digits
from privacy_report.datasets.canaries import Canaries, World, world
from privacy_report.datasets.canary_draw import drawn
from privacy_report.datasets.canary_params import CanaryParams
from privacy_report.datasets.prepared import Prepared
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import read_json, write_json
from privacy_report.training import backend
from privacy_report.training.backend import keras
from privacy_report.training.data import Data
from privacy_report.training.job import NOWHERE
from privacy_report.training.plan import job_of
from privacy_report.training.schema import Privacy
from privacy_report.training.target import trainer_of

SEEDS, MEMBERS, COUNT = 10, 1_300, 400
CLAIM, DELTA, RIDGE = 8.0, 1e-5, 1e-2
CONFIG = replace(broken_trainer.CONFIG, privacy=Privacy(target_epsilon=CLAIM, delta=DELTA), canaries=None)


def prepared() -> Prepared:
    """The digits, 1,300 of them members."""
    dataset, rows = digits.load(), np.arange(len(digits.load().labels), dtype=np.int32)
    about = {"n_classes": len(dataset.class_names)}
    return Prepared(dataset.images, dataset.labels, rows[:MEMBERS], rows[MEMBERS:], about)


def of_others(examples: Prepared, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits and embeddings of members, and embeddings of non-members, by a model of the non-members.

    Embeddings are what the last layer gets, and 1, which its bias gets: float64 (n, d).
    """
    config = replace(CONFIG, privacy=None, seed=seed)
    data = Data(examples.images, np.array(examples.labels), examples.nonmember, examples.nonmember[:0], 10)
    trainer = trainer_of(job_of("others", config, NOWHERE), data)
    for epoch in range(1, config.epochs + 1):
        trainer.run(epoch)
    model = trainer.model
    inside = backend.predictor(keras.Model(model.inputs, model.layers[-2].output))

    def embeddings(rows: np.ndarray) -> np.ndarray:
        hidden = inside(examples.images, rows).astype(np.float64)
        return np.column_stack([hidden, np.ones(len(hidden))])

    logits = trainer.predict(examples.images, examples.member)
    return logits, embeddings(examples.member), embeddings(examples.nonmember)


def influence(h: np.ndarray, others: np.ndarray) -> np.ndarray:
    """h^T A^-1 h of each row of h (n, d), A of the rows of others, with a ridge."""
    a = others.T @ others
    a += RIDGE * np.trace(a) / len(a) * np.eye(len(a))
    return np.einsum("ij,ij->i", h, np.linalg.solve(a, h.T).T)


def least_likely(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The wrong class of the lowest logit."""
    wrong = np.where(np.arange(logits.shape[1]) == labels[:, None], np.inf, logits)
    return wrong.argmin(axis=1).astype(np.int32)


def most_influential(h: np.ndarray, others: np.ndarray, seed: int) -> np.ndarray:
    """The rows of h (n, d) that have the largest influence in each of COUNT clusters, ascending."""
    clusters = KMeans(COUNT, n_init=1, random_state=seed).fit_predict(h)
    order = np.lexsort((-influence(h, others), clusters))
    _, first = np.unique(clusters[order], return_index=True)
    return np.sort(order[first])


def worlds(examples: Prepared, seed: int) -> dict[str, World]:
    """The canaries of a seed by their kind, with the same coins."""
    today = drawn(examples, CanaryParams(COUNT, seed=seed))
    logits, h, others = of_others(examples, seed)
    place = {"least likely": np.searchsorted(examples.member, today.index)}
    place["influential"] = most_influential(h, others, seed)
    made = {"mislabelled": today}
    for kind, rows in place.items():
        index = examples.member[rows]
        labels = least_likely(logits[rows], examples.labels[index])
        made[kind] = Canaries(index, labels, today.images, today.is_member)
    return {kind: world(examples, canaries) for kind, canaries in made.items()}


def measured(runs: ManySeeds, planted: World, seed: int) -> dict[str, Any]:
    """The audit of one run, and the AUC of the canaries' losses."""
    state = runs.run(seed, planted)
    logits = runs.trainer.predict(planted.everyone.images, planted.canary).astype(np.float64)
    outputs = Examples(logits, planted.everyone.labels[planted.canary], planted.is_member)
    return {
        "claimed": float(state["history/epsilon"]),
        "val_accuracy": float(state["history/val_accuracy"]),
        "auc": float(roc_auc_score(planted.is_member, negative_loss(outputs))),
        **asdict(audit_coins(outputs, DELTA)),
    }


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    results: list[dict[str, Any]] = read_json(args.out) if args.out.exists() else []
    examples, runs = prepared(), None
    for seed in range(len(results), args.seeds):
        kinds = worlds(examples, seed)
        runs = runs or ManySeeds(CONFIG, kinds["mislabelled"])
        results.append({kind: measured(runs, planted, seed) for kind, planted in kinds.items()})
        write_json(args.out, results)
        print(seed, results[-1], flush=True)


if __name__ == "__main__":
    run(main)
