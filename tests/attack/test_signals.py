import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from privacy_report.attack import registry
from privacy_report.attack.signals import Examples, pool
from privacy_report.audits.attacks import audit, audit_params, default_estimators
from privacy_report.pipeline.contract import LABEL, LOGITS, PROBABILITIES, released_to
from privacy_report.pipeline.dotted import function
from privacy_report.pipeline.outputs import Outputs


def signal(attack):
    """The scores of an attack on outputs, of all that it sees."""
    scores = function(attack.scores)
    return (lambda examples: scores(function(attack.seen)(examples))) if attack.seen else scores


SIGNALS = {
    name: signal(attack)
    for name, attack in registry.ATTACKS[registry.DEFAULT].items()
    if attack.needs == registry.OUTPUTS
}


def examples(logits, labels):
    return Examples(np.asarray(logits, float), np.asarray(labels), np.ones(len(labels), bool))


@pytest.fixture
def some():
    rng = np.random.default_rng(0)
    return examples(rng.normal(scale=3, size=(50, 5)), rng.integers(0, 5, 50))


def test_members_come_first(outputs):
    pooled = pool(outputs(n_member=3, n_nonmember=2))
    assert pooled.is_member.tolist() == [True] * 3 + [False] * 2
    assert pooled.by_row(lambda logits, labels: logits).dtype == np.float64


def test_loss_is_cross_entropy(some):
    expected = -log_softmax(some.logits, axis=1)[np.arange(50), some.labels]
    np.testing.assert_allclose(some.loss, expected, rtol=1e-12)
    np.testing.assert_allclose(SIGNALS["threshold"](some), -expected, rtol=1e-12)


def test_tiny_losses_keep_their_precision():
    loss = examples([[60.0, 0.0], [80.0, 0.0], [0.0, 900.0]], [0, 0, 0]).loss
    np.testing.assert_allclose(loss, [np.exp(-60), np.exp(-80), 900.0], rtol=1e-12)


def test_confidence_orders_as_the_largest_probability(some):
    order = np.argsort(SIGNALS["threshold_confidence"](some))
    np.testing.assert_array_equal(order, np.argsort(softmax(some.logits, axis=1).max(axis=1)))


def test_entropy(some):
    expected = -entropy(softmax(some.logits, axis=1), axis=1)
    np.testing.assert_allclose(SIGNALS["threshold_entropy"](some), expected, rtol=1e-10)


def test_modified_entropy(some):
    p = softmax(some.logits, axis=1)
    expected = []
    for row, label in zip(p, some.labels, strict=True):
        others = np.delete(row, label)
        expected.append((1 - row[label]) * np.log(row[label]) + np.sum(others * np.log(1 - others)))
    np.testing.assert_allclose(SIGNALS["threshold_modified_entropy"](some), expected, rtol=1e-9)


@pytest.mark.parametrize("name", SIGNALS)
def test_certain_targets_give_finite_scores_and_the_right_order(name):
    certain = examples([[1000.0, 0, 0], [5.0, 0, 0], [0.5, 0, 0]], [0, 0, 0])
    scores = SIGNALS[name](certain)
    assert np.isfinite(scores).all()
    order = scores[0] > scores[1] > scores[2]
    rounds = released_to(name) not in (LOGITS, PROBABILITIES)
    assert order or (rounds and scores[0] >= scores[1] >= scores[2])


def test_certain_and_wrong_is_finite():
    wrong = examples([[1000.0, 0, 0]], [1])
    assert all(np.isfinite(signal(wrong)).all() for signal in SIGNALS.values())


@pytest.mark.parametrize("name", [name for name in SIGNALS if released_to(name) not in ("top", LABEL)])
@pytest.mark.parametrize("n_classes", [3, 10, 50])
def test_outputs_that_tie_give_scores_that_tie(name, n_classes):
    """Whichever class it is that has a probability: equal ones everywhere, and others in any order.

    An attack on the label that is returned sees which one of those that tie it is.
    """
    rng, n = np.random.default_rng(0), 500
    for p in (np.full(n_classes, 1 / n_classes), rng.dirichlet(np.ones(n_classes))):
        order = rng.permuted(np.tile(np.arange(n_classes), (n, 1)), axis=1)
        labels = (order == 1).argmax(axis=1)  # the label is always the class that has p[1]
        assert len(set(SIGNALS[name](examples(np.log(p)[order], labels)).tolist())) == 1


@pytest.mark.parametrize("one_label", [True, False])
@pytest.mark.parametrize("n_classes", [10, 12])
def test_of_a_constant_target_no_attack_says_anything(one_label, n_classes):
    """Constant outputs of one label, or uniform ones of labels that differ between the sides.

    Of uniform ones the first class is returned, so the label says whether the returned one is right.
    """
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(n_classes)) if one_label else np.full(n_classes, 1 / n_classes)
    labels = np.full(1100, 3) if one_label else np.r_[rng.integers(0, 3, 700), rng.integers(2, 10, 400)]
    logits = np.tile(np.log(p), (1100, 1))
    returned = () if one_label else ("gap", "threshold_top")
    attacks = [name for name in (*SIGNALS, *default_estimators()) if name not in returned]
    rows, _ = audit(
        Outputs(logits[:700], labels[:700], logits[700:], labels[700:]), audit_params(attacks, [])
    )
    assert {row["attack"]: (row["auc"], row["advantage"]) for row in rows} == dict.fromkeys(
        attacks, (0.5, 0.0)
    )
