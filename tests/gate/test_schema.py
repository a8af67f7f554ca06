"""How many non-members a policy needs, against the intervals that the attack stage writes."""

import math
from dataclasses import fields

import numpy as np
import pytest

from privacy_report.attack.intervals import advantage_interval, tpr_interval
from privacy_report.attack.names import floor
from privacy_report.attack.roc import roc_curve
from privacy_report.gate.rules import RULES
from privacy_report.gate.schema import GateParams, nonmembers_needed
from privacy_report.pipeline.contract import FPRS
from privacy_report.pipeline.params import check

LIMITS = {"max_advantage": 0.1, "max_class_advantage": 0.2, "max_tpr_at_1pct_fpr": 0.03}


def needed(**limits):
    return nonmembers_needed(check("gate", limits, GateParams).policy("any"))


@pytest.mark.parametrize("limit", [0.01, 0.1, 0.25, 1.0])
def test_with_one_less_not_even_an_advantage_of_0_keeps_the_limit(limit):
    n = needed(max_advantage=limit)["max_advantage"]
    assert n == needed(max_class_advantage=limit)["max_class_advantage"]
    assert advantage_interval(0.0, 10**9, n)[1] <= limit + 1e-7
    if n > 2:  # an upper end is at most 1
        assert advantage_interval(0.0, 10**9, n - 1)[1] > limit


def test_with_one_less_no_rate_at_1_percent_is_measured():
    n, fpr = needed(**LIMITS)["max_tpr_at_1pct_fpr"], FPRS["tpr_at_1pct_fpr"]
    scores = np.random.default_rng(0).normal(size=n)
    assert tpr_interval(roc_curve(scores, scores), fpr) is not None
    assert tpr_interval(roc_curve(scores, scores[1:]), fpr) is None


@pytest.mark.parametrize("limit", [0.001, 0.03, 0.1, 0.9])
def test_with_one_less_so_few_names_are_not_seen(limit):
    n, members = needed(max_named_at_10pct_fdr=limit)["max_named_at_10pct_fdr"], 10**9

    def unseen(nonmembers):
        return (floor(members, nonmembers, 0.1, members / (members + nonmembers)) - 1) / members

    assert unseen(n) <= limit * (1 + 1e-4) < unseen(n - 1)
    assert needed(max_advantage=0.5, max_named_at_10pct_fdr=0.0)["max_named_at_10pct_fdr"] is None
    assert "max_named_at_10pct_fdr" not in needed(max_advantage=0.5, max_named_at_10pct_fdr=12)


def test_a_limit_of_0_needs_more_than_any_number():
    assert needed(max_advantage=0.0)["max_advantage"] is None
    assert math.isfinite(needed(max_advantage=1e-6)["max_advantage"])


def test_there_is_a_field_for_each_rule_in_the_order_of_the_rules():
    names = [field.name for field in fields(GateParams)]
    assert names[: len(RULES)] == list(RULES)
    assert names[len(RULES) :] == ["allow_committed_seed", "released", "per_variant", "per_slice"]
