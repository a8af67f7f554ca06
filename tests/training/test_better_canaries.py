"""What benchmarks/better_canaries.py chooses: by definitions written out, on random embeddings."""

import numpy as np
from sklearn.cluster import KMeans

from benchmarks import better_canaries

RNG = np.random.default_rng(0)
H, OTHERS = RNG.normal(size=(60, 5)), RNG.normal(size=(40, 5))


def influence(row):
    """h^T A^-1 h, with the inverse written out."""
    a = sum(np.outer(other, other) for other in OTHERS)
    return row @ np.linalg.inv(a + better_canaries.RIDGE * np.diag(a).mean() * np.eye(5)) @ row


def test_influence_is_that_of_the_last_layer():
    np.testing.assert_allclose(better_canaries.influence(H, OTHERS), [influence(row) for row in H])


def test_the_least_likely_class_is_a_wrong_one():
    logits = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [3.0, 1.0, 2.0]])
    np.testing.assert_array_equal(better_canaries.least_likely(logits, np.array([0, 1, 1])), [1, 0, 2])


def test_each_cluster_has_one_canary_the_most_influential(monkeypatch):
    monkeypatch.setattr(better_canaries, "COUNT", 12)
    clusters = KMeans(12, n_init=1, random_state=3).fit_predict(H)
    expected = [
        max(np.flatnonzero(clusters == cluster), key=lambda row: influence(H[row])) for cluster in range(12)
    ]
    assert better_canaries.most_influential(H, OTHERS, 3).tolist() == sorted(expected)
