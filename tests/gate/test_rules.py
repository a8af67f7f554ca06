import pytest
from privacy_report.gate.bounds import accuracy_low
from scipy.stats import binom


def test_accuracy_bound_is_exact():
    low = accuracy_low(0.7, 200)
    assert binom.sf(139, 200, low) == pytest.approx(0.025)  # P(at least 140 right | low)
    assert accuracy_low(0.0, 50) == 0.0
    assert 0.9 < accuracy_low(1.0, 50) < 1.0
