import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info, threadpool_limits

from privacy_report.attack.intervals import auc_interval
from privacy_report.attack.roc import auc, roc_curve
from privacy_report.attack.schema import Estimator
from privacy_report.attack.trained import blocks, build, fit_and_score, forward_scores, ranks
from privacy_report.attack.trained import scores as scores_of
from privacy_report.audits.attacks import audit, audit_params
from privacy_report.errors import UserError
from privacy_report.pipeline.outputs import Outputs

ESTIMATORS = audit_params().estimators
LOGISTIC = ESTIMATORS["logistic"]
SEEN: list[tuple[set, set]] = []


class Recorder:
    """Stands in for fitting: notes which rows (by their only feature) were trained on and which scored."""

    def __call__(self, X, is_member, new, model):
        SEEN.append((set(X[:, 0]), set(new[:, 0])))
        return new[:, 0]


def test_blocks_hold_equal_shares_of_both_sides():
    is_member = np.arange(1003) < 800
    block = blocks(is_member, 5, np.random.default_rng(0))
    for side in (True, False):
        counts = np.bincount(block[is_member == side], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_each_example_is_scored_once_by_a_model_of_the_past(monkeypatch):
    monkeypatch.setattr("privacy_report.attack.trained.fit_and_score", Recorder())
    SEEN.clear()
    X, is_member = np.arange(100.0)[:, None], np.arange(100) < 60
    scores, scored = forward_scores(X, is_member, LOGISTIC, 5, np.random.default_rng(0))
    assert sorted(x for _, new in SEEN for x in new) == np.flatnonzero(scored).tolist()
    assert all(not fitted & new for fitted, new in SEEN)
    assert [len(fitted) for fitted, _ in SEEN] == [20, 40, 60, 80]
    assert (scored[is_member].mean(), scored[~is_member].mean()) == (0.8, 0.8)
    assert ((scores[scored] > 0) & (scores[scored] < 1)).all()
    assert np.isnan(scores[~scored]).all()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_named_attackers_find_a_leak_and_repeat_themselves(name):
    rng = np.random.default_rng(0)
    is_member = np.arange(900) < 600
    X = rng.normal(size=(900, 3)) + is_member[:, None]
    runs = [forward_scores(X, is_member, ESTIMATORS[name], 5, np.random.default_rng(1)) for _ in range(2)]
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    scores, scored = runs[0]
    assert auc(roc_curve(scores[scored & is_member], scores[scored & ~is_member])) > 0.7


def test_intervals_hold_without_a_leak():
    """Ordinary cross-fitting covers in 81% here; a forward pass has to reach 95%."""
    is_member, hits = np.arange(600) < 400, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scores, scored = forward_scores(rng.normal(size=(600, 8)), is_member, LOGISTIC, 5, rng)
        low, high = auc_interval(roc_curve(scores[scored & is_member], scores[scored & ~is_member]))
        hits += low <= 0.5 <= high
    assert hits / 200 >= 0.91


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (Estimator("sklearn.nowhere.Nothing"), "cannot import"),
        (Estimator("sklearn.linear_model.Nothing"), "cannot import"),
        (Estimator("sklearn.preprocessing.StandardScaler"), "no classifier"),
        (Estimator("sklearn.linear_model.LogisticRegression", {"wrong": 1}), "refuses its settings"),
    ],
)
def test_impossible_estimators_are_one_line(estimator, reason):
    with pytest.raises(UserError, match=reason) as caught:
        build(estimator, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "settings"),
    [
        ("sklearn.linear_model.LogisticRegression", {"C": -1.0}),
        ("sklearn.neighbors.KNeighborsClassifier", {"n_neighbors": "x"}),
        ("sklearn.neighbors.RadiusNeighborsClassifier", {"radius": 1e-9}),  # fits, and finds no neighbour
        (".sklearn.svm.SVC", {}),
    ],
)
def test_settings_that_only_work_refuses_are_one_line(path, settings):
    rng, is_member = np.random.default_rng(0), np.arange(100) < 50
    with pytest.raises(UserError, match=r"attack\.estimators: .*[A-Z]") as caught:
        forward_scores(rng.normal(size=(100, 2)), is_member, Estimator(path, settings), 2, rng)
    assert "\n" not in str(caught.value)


def test_fits_and_scores_use_one_thread_whoever_calls():
    seen = []

    class Model:
        def fit(self, X, y):
            seen.extend(pool["num_threads"] for pool in threadpool_info())

        def decision_function(self, X):
            seen.extend(pool["num_threads"] for pool in threadpool_info())
            return X[:, 0]

    with threadpool_limits(2):  # also where the machine has one core
        before = [pool["num_threads"] for pool in threadpool_info()]
        fit_and_score(np.eye(2), np.array([True, False]), np.eye(2), Model())
        assert [pool["num_threads"] for pool in threadpool_info()] == before
    assert max(before) > 1
    assert set(seen) == {1}


def test_features_are_scaled_by_the_training_rows_and_sides_balanced():
    class Model:
        def fit(self, X, y, sample_weight):
            self.X, self.weight = X, sample_weight

        def decision_function(self, X):
            return X[:, 0]

    X, is_member, model = np.array([[1.0, 7], [3, 7], [5, 7]]), np.array([True, True, False]), Model()
    scores = fit_and_score(X, is_member, np.array([[3.0, 7]]), model)
    assert scores.tolist() == [0.0]
    np.testing.assert_allclose(model.X.std(axis=0), [1.0, 0.0])  # a constant feature stays finite
    assert model.weight[is_member].sum() == pytest.approx(model.weight[~is_member].sum())


def test_the_attacks_settings_name_the_estimator_and_the_number_of_blocks():
    rng, is_member = np.random.default_rng(0), np.arange(90) < 60
    X = rng.normal(size=(90, 3))
    settings = {"path": LOGISTIC.path, "settings": LOGISTIC.settings, "folds": 4}
    got, scored = scores_of(X, is_member, settings, [1, 2])
    expected, wanted = forward_scores(X, is_member, LOGISTIC, 4, np.random.default_rng([1, 2]))
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(scored, wanted)


def test_a_target_with_probabilities_of_zero_is_attacked_no_worse_than_by_its_loss():
    """A random forest gives some non-members' labels a probability of 0: their loss must not drown all."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    members, nonmembers = order[:900], order[900:]
    forest = RandomForestClassifier(10, random_state=0).fit(images[members], labels[members])
    logits = [
        np.log(np.maximum(forest.predict_proba(images[side]), np.finfo(float).tiny))
        for side in (members, nonmembers)
    ]
    assert (logits[1][np.arange(897), labels[nonmembers]] < -700).any()
    outputs = Outputs(logits[0], labels[members], logits[1], labels[nonmembers])
    rows, _ = audit(outputs, audit_params(["threshold", "logistic"], []))
    threshold, logistic = (row["auc"] for row in rows)
    assert threshold > 0.7
    assert logistic > threshold - 0.02


def test_ranks_are_mean_ranks_and_rounding_ties():
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=200), rng.integers(0, 9, 200).astype(float), np.zeros(5), np.ones(1)):
        expected = rankdata(values)
        assert ranks(values).tolist() == expected.tolist()
        assert ranks(values + rng.uniform(-1e-14, 1e-14, len(values))).tolist() == expected.tolist()
    assert ranks(np.array([0.0, 1e-9, -1e-9])).tolist() == [2.0, 3.0, 1.0]


class Infinite(LogisticRegression):
    def decision_function(self, X):
        return np.where(np.arange(len(X)) % 2, np.inf, 0.0)


def test_scores_that_are_not_finite_are_refused():
    """Infinite ones would tie all others, and look like a model that leaks nothing."""
    rng, is_member = np.random.default_rng(0), np.arange(100) < 50
    with pytest.raises(UserError, match=r"Infinite: got scores that are not finite, allowed: finite ones"):
        fit_and_score(rng.normal(size=(100, 2)), is_member, np.zeros((4, 2)), Infinite())


def test_a_feature_that_is_constant_up_to_rounding_decides_nothing():
    rng, is_member = np.random.default_rng(0), np.arange(60) < 30
    X = np.column_stack([rng.normal(size=60), np.full(60, 0.1)])
    assert X[:, 1].std() > 0
    new = np.array([[0.3, 0.1], [0.3, 0.2]])
    same, other = fit_and_score(X, is_member, new, LogisticRegression())
    assert other == pytest.approx(same, abs=0.1)
