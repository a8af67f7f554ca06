"""The params section `attack`: which attacks, on which slices, with which estimators."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from privacy_report.pipeline.params import one_of, refuse

MODES = ("default", "reference")
THRESHOLD_ATTACKS = (
    "threshold",
    "threshold_confidence",
    "threshold_entropy",
    "threshold_modified_entropy",
)
REFERENCE_ATTACKS = ("threshold", "threshold_entropy", "logistic", "mlp", "random_forest", "knn")
SLICES = ("entire", "class", "correctness", "percentile", "group")


@dataclass
class Estimator:
    """A scikit-learn classifier: its import path and the keyword arguments of its constructor."""

    path: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "." not in self.path.strip("."):
            raise refuse("path", self.path, "an import path such as sklearn.linear_model.LogisticRegression")


def default_estimators() -> dict[str, Estimator]:
    """The trained attackers that have a name; settings light enough for every checkpoint and slice."""
    return {
        "logistic": Estimator(
            "sklearn.linear_model.LogisticRegression", {"solver": "newton-cholesky", "C": 0.001}
        ),
        "mlp": Estimator(
            "sklearn.neural_network.MLPClassifier",
            {
                "hidden_layer_sizes": [16],
                "alpha": 0.01,
                "learning_rate_init": 0.01,
                "batch_size": 256,
                "max_iter": 15,
            },
        ),
        "random_forest": Estimator(
            "sklearn.ensemble.RandomForestClassifier",
            {"n_estimators": 30, "max_depth": 6, "min_samples_leaf": 10},
        ),
        "knn": Estimator("sklearn.neighbors.KNeighborsClassifier", {"n_neighbors": 50}),
        "gradient_boosting": Estimator(
            "sklearn.ensemble.HistGradientBoostingClassifier",
            {
                "max_iter": 20,
                "max_bins": 32,
                "max_leaf_nodes": 8,
                "learning_rate": 0.2,
                "early_stopping": False,
            },
        ),
    }


@dataclass
class Attack:
    """How checkpoints are attacked.

    `mode` reference keeps the semantics of tensorflow_privacy's reports; `groups` names a JSON file of
    index groups (see `slices.load_groups`), needed by the slice kind `group`; `folds` is the number of
    blocks that trained attackers are scored in; `delta` is that of the (epsilon, delta) whose epsilon is
    bounded from below. An attack that is neither a threshold attack nor
    in `estimators` is refused.
    """

    mode: str = "default"
    attacks: list[str] = field(default_factory=lambda: ["threshold", "logistic"])
    slices: list[str] = field(default_factory=lambda: ["entire", "class"])
    folds: int = 3
    delta: float = 1e-5
    seed: int = 0
    groups: str | None = None
    estimators: dict[str, Estimator] = field(default_factory=default_estimators)

    def __post_init__(self) -> None:
        one_of("mode", self.mode, MODES)
        allowed = (
            REFERENCE_ATTACKS if self.mode == "reference" else (*THRESHOLD_ATTACKS, *sorted(self.estimators))
        )
        _names("attacks", self.attacks, allowed)
        _names("slices", self.slices, SLICES)
        if shadowed := sorted(set(THRESHOLD_ATTACKS) & set(self.estimators)):
            raise refuse("estimators", shadowed[0], "names other than those of the threshold attacks")
        if "group" in self.slices and not self.groups:
            raise refuse("groups", self.groups, "a JSON file of index groups, since slices has group")
        if not 2 <= self.folds <= 20:
            raise refuse("folds", self.folds, "2 to 20")
        if not 0 <= self.delta < 1:
            raise refuse("delta", self.delta, "0 <= delta < 1")
        if self.seed < 0:
            raise refuse("seed", self.seed, "0 or more")


def _names(key: str, got: list[str], allowed: tuple[str, ...]) -> None:
    """Refuse an empty list, an unknown name and a name given twice."""
    if not got:
        raise refuse(key, got, "at least one of " + ", ".join(allowed))
    for name in got:
        one_of(key, name, allowed)
    if len(set(got)) < len(got):
        raise refuse(key, got, "each name once")
