"""Attacks tried next to the plain log ratio, all with the same reference training; see stronger_attacks.py.

An idea is a function of the attacked run and of the others: what the attacked model says of each example
after each of its epochs, and the same of the references, with their memberships. It gives scores (n,),
higher = more likely a member, and never sees a membership of the attacked model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.special import log_expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 0
ROWS = 10_000
"""Examples of each reference from which a learned attacker learns."""
BINS = 50


@dataclass(frozen=True)
class Models:
    """What k models say of n examples after each of `epochs`, ascending.

    `phi` float32 (epochs, k, n); `trains` bool (k, n): who was trained on what.
    """

    phi: np.ndarray
    epochs: tuple[int, ...]
    trains: np.ndarray

    @cached_property
    def log_p(self) -> np.ndarray:
        return log_expit(self.phi.astype(np.float64))

    @cached_property
    def p(self) -> np.ndarray:
        return np.exp(self.log_p)

    def at(self, epoch: int) -> int:
        """The row of the epoch, or of the nearest one (of two the earlier)."""
        return min(range(len(self.epochs)), key=lambda i: (abs(self.epochs[i] - epoch), i))

    def _part(self, *at: slice | np.ndarray) -> Models:
        """Some epochs, models, examples; p is not computed again."""
        subset = Models(self.phi[at], self.epochs[at[0]], self.trains[at[1:]])
        vars(subset).update({"log_p": self.log_p[at], "p": self.p[at]})
        return subset

    def take(self, models: np.ndarray) -> Models:
        """Some of the models, by a mask (k,) or by numbers."""
        return self._part(slice(None), models)

    def until(self, epoch: int) -> Models:
        """Only what the models were up to an epoch."""
        return self._part(slice(self.at(epoch) + 1), slice(None))

    def on(self, examples: np.ndarray) -> Models:
        """Only what the models say of some examples."""
        return self._part(slice(None), slice(None), examples)

    def without_pair(self, model: int) -> Models:
        return self.take(np.arange(len(self.trains)) // 2 != model // 2)

    @cached_property
    def _means(self) -> dict[tuple[int, int], np.ndarray]:
        return {}

    def log_mean(self, low: int, high: int) -> np.ndarray:
        """log of the mean p (n,) over the models and over their checkpoints of two epochs and between."""
        rows = self.at(low), self.at(high) + 1
        if rows not in self._means:
            self._means[rows] = np.log(self.p[slice(*rows)].mean(axis=(0, 1)))
        return self._means[rows]


Idea = Callable[[Models, Models], np.ndarray]
"""(the attacked run as `Models` of one, with its epochs up to the attacked one; the others) -> scores."""


def last(run: Models) -> np.ndarray:
    """log p (n,) of the attacked model itself."""
    return run.log_p[-1, 0]


def window(others: Models, low: int, high: int) -> slice:
    return slice(others.at(low), others.at(high) + 1)


def single(run: Models, others: Models, epoch: int | None = None) -> np.ndarray:
    """`rmia` with references of one epoch; None: of the attacked model's own, or the nearest."""
    return last(run) - np.log(others.p[others.at(epoch or run.epochs[-1])].mean(axis=0))


def snapshots(run: Models, others: Models, low: int = 0, high: int | None = None) -> np.ndarray:
    """The mean over the references *and* their checkpoints; None: up to the attacked model's own epoch."""
    return last(run) - others.log_mean(low, high or run.epochs[-1])


def power_mean(run: Models, others: Models, power: float) -> np.ndarray:
    """Another mean over references and checkpoints; 0: the geometric one."""
    logs = others.log_p[window(others, 0, run.epochs[-1])]
    if power == 0:
        return last(run) - logs.mean(axis=(0, 1))
    return last(run) - np.log(np.exp(power * logs).mean(axis=(0, 1))) / power


def sides(p: np.ndarray, trains: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (..., n) over the IN and the OUT models of p (..., k, n)."""
    return tuple(np.where(side, p, 0).sum(axis=-2) / side.sum(axis=0) for side in (trains, ~trains))


def weighted_sides(run: Models, others: Models, outside: float) -> np.ndarray:
    """OUT and IN references in another proportion than one to one."""
    mean_in, mean_out = sides(others.p[window(others, 0, run.epochs[-1])].mean(axis=0), others.trains)
    return last(run) - np.log(outside * mean_out + (1 - outside) * mean_in)


def smoothed(run: Models, others: Models, count: int, kind: str) -> np.ndarray:
    """The attacked model's last `count` checkpoints instead of its last."""
    logs = run.log_p[-count:, 0]
    own = {
        "mean of log p": lambda: logs.mean(axis=0),
        "log of mean p": lambda: np.log(run.p[-count:, 0].mean(axis=0)),
        "log p of mean phi": lambda: log_expit(run.phi[-count:, 0].astype(np.float64).mean(axis=0)),
    }
    return own[kind]() - others.log_mean(0, run.epochs[-1])


def early(run: Models, count: int) -> np.ndarray:
    """log of the mean p over the attacked model's own first checkpoints, at most half of those before it."""
    return np.log(run.p[: max(1, min(count, (len(run.epochs) - 1) // 2)), 0].mean(axis=0))


def with_early(run: Models, others: Models, count: int, share: float) -> np.ndarray:
    """A weighted mean of the snapshots' score and of `trajectory`'s."""
    return last(run) - (1 - share) * others.log_mean(0, run.epochs[-1]) - share * early(run, count)


def joined(run: Models, others: Models, weight: float) -> np.ndarray:
    """One mean p over the references and, as `weight` more of them, the model's own early checkpoints."""
    p = others.p[window(others, 0, run.epochs[-1])].mean(axis=0)
    return last(run) - np.log((p.sum(axis=0) + weight * np.exp(early(run, 4))) / (len(p) + weight))


def sloped(run: Models, others: Models, slope: float) -> np.ndarray:
    return last(run) - slope * others.log_mean(0, run.epochs[-1])


def tempered(run: Models, others: Models, temperature: float) -> np.ndarray:
    """All phi divided by a temperature first."""
    phi = others.phi[window(others, 0, run.epochs[-1])] / temperature
    mean = np.exp(log_expit(phi.astype(np.float64))).mean(axis=(0, 1))
    return log_expit(run.phi[-1, 0].astype(np.float64) / temperature) - np.log(mean)


def normalised(run: Models, others: Models, prior: float, power: float) -> np.ndarray:
    """The snapshots' score over a power of the OUT references' spread, shrunk to the mean variance."""
    logs, outside = others.log_p[others.at(run.epochs[-1])], ~others.trains
    _, mean = sides(logs, others.trains)
    squares = np.where(outside, (logs - mean) ** 2, 0).sum(axis=0)
    free = outside.sum(axis=0) - 1
    variance = (squares + prior * squares.sum() / free.sum()) / (free + prior)
    return snapshots(run, others) / variance ** (power / 2)


def heteroscedastic(run: Models, others: Models) -> np.ndarray:
    """Difference to the mean OUT phi over its standard deviation at that predicted difficulty, in bins."""
    phi, outside = others.phi[others.at(run.epochs[-1])].astype(np.float64), ~others.trains
    _, mean = sides(phi, others.trains)
    squares, free = np.where(outside, (phi - mean) ** 2, 0).sum(axis=0), outside.sum(axis=0) - 1
    place, middles = binned(mean)
    spread = np.sqrt(np.bincount(place, squares) / np.bincount(place, free))
    return (run.phi[-1, 0] - mean) / np.interp(mean, middles, spread)


def quantile(run: Models, others: Models) -> np.ndarray:
    """How rare so high a phi is among OUT references on examples as hard, in bins of the mean log p.

    A quantile regression in steps: log of the tail's share, continued by the excess over the highest.
    """
    hardness = others.log_mean(0, run.epochs[-1])
    edges = np.quantile(hardness, np.linspace(0, 1, BINS + 1)[1:-1])
    phi = others.phi[others.at(run.epochs[-1])]
    pooled: list[list[np.ndarray]] = [[] for _ in range(BINS)]
    for j, outside in enumerate(~others.trains):
        place = np.searchsorted(edges, others.without_pair(j).log_mean(0, run.epochs[-1]))
        for b in range(BINS):
            pooled[b].append(phi[j, (place == b) & outside])
    score, place, own = np.empty(len(hardness)), np.searchsorted(edges, hardness), run.phi[-1, 0]
    for b in range(BINS):
        here, seen = place == b, np.sort(np.concatenate(pooled[b]))
        above = len(seen) - np.searchsorted(seen, own[here])
        excess = np.maximum(own[here] - seen[-1], 0)
        score[here] = -np.log((above + 1) / (len(seen) + 1)) + excess
    return score


def binned(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each value's bin of BINS of equal size, and the bins' means."""
    place = np.searchsorted(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]), values)
    return place, np.bincount(place, values) / np.bincount(place)


def few_features(run: Models, others: Models) -> np.ndarray:
    """phi, log p, and the log of the mean p over snapshots, float (n, 3)."""
    return np.stack([run.phi[-1, 0], last(run), others.log_mean(0, run.epochs[-1])], axis=1)


def last_features(run: Models, others: Models) -> np.ndarray:
    """The attacked model's phi and log p; means, spreads, extremes of the references, by epoch and side."""
    seen = others.until(run.epochs[-1])
    kept = sorted({0, len(seen.epochs) // 3, 2 * len(seen.epochs) // 3, len(seen.epochs) - 1})
    means = [np.log(np.concatenate(sides(seen.p[kept], seen.trains)))]
    means += list(sides(seen.phi[kept].astype(np.float64), seen.trains))
    phi = seen.phi[kept]
    more = [np.log(seen.p[kept].mean(axis=1)), phi.std(axis=1), phi.max(axis=1), phi.min(axis=1)]
    return np.concatenate([*means, *more, few_features(run, others).T]).T.astype(np.float32)


def all_features(run: Models, others: Models) -> np.ndarray:
    """The same and the attacked run's earlier checkpoints."""
    own = [run.phi[-3:-1, 0], run.log_p[-3:-1, 0], run.log_p[[0, len(run.epochs) // 2], 0]]
    return np.concatenate([*own, last_features(run, others).T]).T.astype(np.float32)


def logistic() -> object:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))


def boosting() -> object:
    return HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=16, min_samples_leaf=200, early_stopping=False, random_state=SEED
    )


def learned(run: Models, others: Models, features: Callable, build: Callable) -> np.ndarray:
    """A classifier of membership, trained on the references, each seen by those outside its pair.

    The attacked run is seen by as many: the scores are means over what is left without each of the pairs.
    """
    rng, x, y = np.random.default_rng(SEED), [], []
    k = len(others.trains)
    for j in range(k):
        rows = rng.permutation(others.trains.shape[1])[:ROWS]
        attacked = others.take(np.array([j])).until(run.epochs[-1])
        x.append(features(attacked.on(rows), others.without_pair(j).on(rows)))
        y.append(others.trains[j, rows])
    model = build().fit(np.concatenate(x), np.concatenate(y))
    at = run
    if run.epochs[-1] > others.epochs[-1]:  # as many checkpoints: its first, and its last three
        kept = [*range(len(others.epochs) - 3), -3, -2, -1]
        at = Models(run.phi[kept], others.epochs, run.trains)
    scores = [model.decision_function(features(at, others.without_pair(j))) for j in range(0, k, 2)]
    return np.mean(scores, axis=0)


def ideas(with_learned: bool = True) -> Iterator[tuple[str, str, Idea]]:
    """(kind, setting, function) of everything that was tried."""
    for epoch in range(2, 21, 2):
        yield "rmia, one epoch of the references", f"epoch {epoch}", partial(single, epoch=epoch)
    yield "rmia, one epoch of the references", "the target's own epoch", single
    kind = "rmia over snapshots of the references"
    yield kind, "all up to the target's epoch", snapshots
    for low in (2, 4, 6):
        for high in range(low + 2, 21, 2):
            yield kind, f"epochs {low} to {high}", partial(snapshots, low=low, high=high)
    for power in (-1, -0.5, 0, 0.5, 2):
        yield "snapshots, another mean of p", f"power {power}", partial(power_mean, power=power)
    for outside in (0, 0.2, 0.35, 0.65, 0.8, 1):
        yield "snapshots, OUT and IN weighted", f"OUT {outside}", partial(weighted_sides, outside=outside)
    for count in (2, 3, 4, 5):
        for how in ("mean of log p", "log of mean p", "log p of mean phi"):
            settings = partial(smoothed, count=count, kind=how)
            yield "snapshots, the target's last checkpoints", f"last {count}, {how}", settings
    for count in (1, 2, 3, 4):
        for share in (0.2, 0.4):
            idea = partial(with_early, count=count, share=share)
            yield "snapshots and trajectory, weighted", f"{share} of the first {count}", idea
    for weight in (1, 2, 4):
        yield "snapshots and own early checkpoints, one mean", f"as {weight}", partial(joined, weight=weight)
    for slope in (0.8, 0.9, 1.1, 1.2):
        yield "snapshots, slope of difficulty", f"{slope}", partial(sloped, slope=slope)
    for temperature in (0.5, 0.75, 1.5, 2, 3):
        yield "snapshots, temperature", f"{temperature}", partial(tempered, temperature=temperature)
    for prior in (1, 4, 16):
        for power in (0.5, 1):
            idea = partial(normalised, prior=prior, power=power)
            yield "snapshots, over the OUT spread", f"power {power}, shrunk by {prior}", idea
    yield "phi, spread by predicted difficulty", "one epoch", heteroscedastic
    yield "quantiles of OUT references by difficulty", "one epoch", quantile
    sets = {
        "3 features": few_features,
        "the references' epochs": last_features,
        "and the run's": all_features,
    }
    for name, build in (("logistic regression", logistic), ("gradient boosting", boosting)):
        for setting, features in sets.items():
            yield name, setting, partial(learned, features=features, build=build)
