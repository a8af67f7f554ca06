"""Confidences against 400 decimal digits, to |phi| = 700, and what does not fit."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy_report.attack.confidence import (
    log_mean_probability,
    log_probability,
    logit_confidence,
    mean_doubt,
)
from privacy_report.errors import UserError

PHIS = (-700.0, -300.5, -37.0, -1.0, -1e-9, 0.0, 1e-9, 0.3, 2.0, 20.0, 37.0, 40.0, 300.5, 700.0)
LOGITS = st.lists(st.floats(-350, 350, width=32), min_size=2, max_size=6)


def exact(value: float) -> Decimal:
    return Decimal(float(value))


def exact_p(phi: float) -> Decimal:
    return 1 / (1 + (-exact(phi)).exp())


@pytest.fixture(autouse=True)
def _digits():
    with localcontext() as context:
        context.prec = 400
        yield


@given(LOGITS, st.integers(0, 5))
def test_confidence_against_400_digits(logits, label):
    label %= len(logits)
    others = sum(exact(z).exp() for i, z in enumerate(logits) if i != label)
    truth = exact(logits[label]) - others.ln()
    confidence = logit_confidence(np.array([logits], np.float32), np.array([label]))[0]
    scale = max(1.0, *(abs(z - logits[label]) for z in logits))  # what is left of a difference of such logits
    assert abs(exact(confidence) - truth) <= 4e-16 * scale


@pytest.mark.parametrize("phi", [-700.0, -0.25, 700.0])
def test_confidence_of_far_logits_keeps_its_last_digit(phi):
    for offset in (0.0, 1e6, -1e6):  # 1 - p is 1e-304: no probability could say so
        assert logit_confidence(np.array([[offset, offset + phi]]), np.array([1]))[0] == phi


def test_confidence_of_equal_logits_is_that_of_chance():
    confidence = logit_confidence(np.full((3, 10), 5.0), np.array([0, 4, 9]))
    assert confidence == pytest.approx(-np.log(9))


def test_a_diverged_row_spoils_only_itself_and_warns_nobody():
    logits = np.array([[1.0, 2.0], [np.nan, 0.0], [np.inf, np.inf], [0.0, 0.0]])
    confidence = logit_confidence(logits, np.array([0, 0, 1, 1]))
    assert np.isfinite(confidence).tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("logits", "labels", "text"),
    [
        (np.zeros((3, 1)), np.zeros(3, int), r"got shapes \(3, 1\) and \(3,\), allowed"),
        (np.zeros(3), np.zeros(3, int), r"got shapes \(3,\) and \(3,\), allowed"),
        (np.zeros((3, 2)), np.zeros(2, int), r"got shapes \(3, 2\) and \(2,\), allowed"),
        (np.zeros((3, 2)), np.zeros(3), "labels: got float64, allowed: integers"),
        (np.zeros((3, 2)), np.array([0, 1, 2]), r"labels: got 0\.\.2, allowed: 0\.\.1"),
        (np.zeros((3, 2)), np.array([0, -1, 1]), r"labels: got -1\.\.1, allowed: 0\.\.1"),
    ],
)
def test_what_does_not_fit_is_refused(logits, labels, text):
    with pytest.raises(UserError, match=text):
        logit_confidence(logits, labels)


@pytest.mark.parametrize("phi", PHIS)
def test_log_probability_against_400_digits(phi):
    truth = exact_p(phi).ln()
    assert abs(exact(log_probability(np.array([phi]))[0]) - truth) <= abs(truth) * exact(4e-16)


@pytest.mark.parametrize("phis", [PHIS, PHIS[:3], PHIS[-4:], (0.0, 0.1), (-700.0, 700.0), (-0.1, 0.1, -0.2)])
def test_log_mean_probability_against_400_digits(phis):
    phi = np.array(phis)[:, None]
    truth = (sum(exact_p(v) for v in phis) / len(phis)).ln()
    assert abs(exact(log_mean_probability(phi)[0]) - truth) <= abs(truth) * exact(1e-15)
    doubt = sum(1 - exact_p(v) for v in phis) / len(phis)
    assert abs(exact(mean_doubt(phi)[0]) - doubt) <= doubt * exact(1e-15)


def test_means_over_chosen_models():
    rng = np.random.default_rng(0)
    phi, chosen = rng.normal(0, 20, (5, 200)).astype(np.float32), rng.random((5, 200)) < 0.4
    for i in range(200):
        chosen_phi = phi[chosen[:, i], i][:, None]
        means = log_mean_probability(phi, chosen)[i], mean_doubt(phi, chosen)[i]
        if not len(chosen_phi):
            assert np.isnan(means).all()
        else:
            assert means == pytest.approx(
                (log_mean_probability(chosen_phi)[0], mean_doubt(chosen_phi)[0]), rel=1e-13
            )
    assert (~chosen.any(axis=0)).any()  # the empty case did occur
