"""The two halves of the examples: one chooses a checkpoint, and the other has no part in the choice."""

import numpy as np
import pytest

from privacy_report.attack.findings import attack_halves
from privacy_report.attack.needs import OUTPUTS
from privacy_report.attack.plan import Plan
from privacy_report.attack.roc import advantage, roc_curve, sorted_roc
from privacy_report.attack.signals import Examples
from privacy_report.pipeline.contract import REPORT, SELECT

DRAWS, CHECKPOINTS, SIDE = 300, 10, 60


def first_logit(examples):
    return examples.by_row(lambda logits, labels: logits[:, 0])


def second_logit(examples):
    return examples.by_row(lambda logits, labels: logits[:, 1])


NOTED = []
"""The parts of the examples that `noted` has scored."""


def noted(half):
    NOTED.append(half)
    return first_logit(half)


def advantage_alone(scores, is_member, selects, ratio, delta):
    return {"advantage": advantage(sorted_roc(scores, is_member)), "note": ""}


def plan(scores="first_logit", seed=0, slices=("entire",)):
    return Plan(
        attack="any",
        examples="",
        scores=f"{__name__}.{scores}",
        needs=OUTPUTS,
        least=1,
        caveat="",
        seen="",
        every_query=False,
        measure=f"{__name__}.advantage_alone",
        both_ends=False,
        any_delta=True,
        settings={},
        slices=slices,
        groups=None,
        delta=0.0,
        seed=seed,
    )


def examples(scores, n_member):
    logits = np.column_stack([scores, np.zeros(len(scores))])
    return Examples(logits, np.zeros(len(scores), int), np.arange(len(scores)) < n_member)


@pytest.mark.parametrize(("n_member", "n_nonmember"), [(60, 60), (51, 20), (2, 3)])
def test_no_example_is_in_both_halves_and_none_is_left_out(n_member, n_nonmember):
    NOTED.clear()
    n = n_member + n_nonmember
    rows = attack_halves(examples(np.arange(n, dtype=float), n_member), plan("noted"))
    first, second = (set(first_logit(half)) for half in NOTED)
    first_members, second_members = (int(half.is_member.sum()) for half in NOTED)
    assert not first & second
    assert first | second == set(range(n))
    assert (first_members, second_members) == ((n_member + 1) // 2, n_member // 2)
    assert [row["half"] for row in rows] == [SELECT, REPORT]
    assert [row["n_nonmember"] for row in rows] == [(n_nonmember + 1) // 2, n_nonmember // 2]


def test_halves_depend_on_the_seed_alone():
    """Every attack and checkpoint cuts alike: a half means the same examples throughout."""
    rng, cuts = np.random.default_rng(0), []
    for seed in (0, 0, 1):
        NOTED.clear()
        drawn = examples(rng.normal(size=80), 40)
        drawn.logits[:, 1] = np.arange(80)
        attack_halves(drawn, plan("noted", seed))
        cuts.append([second_logit(half).tolist() for half in NOTED])
    assert cuts[0] == cuts[1]
    assert cuts[0] != cuts[2]


def by_the_library(scores, seed):
    """Advantages (select, report) of one checkpoint."""
    return [row["advantage"] for row in attack_halves(examples(scores, SIDE), plan(seed=seed))]


def sharing_members(scores, seed):
    """The mutant: non-members cut in halves, and all members in both."""
    members, others = scores[:SIDE], np.random.default_rng(seed).permutation(scores[SIDE:])
    return [advantage(roc_curve(members, others[start::2])) for start in (0, 1)]


def flattery(cut):
    """Choosing the least advantage of ten on one half, mean z-score of the chosen one on the other half.

    Nothing leaks; the z-score is by mean and spread of all checkpoints' advantages on that half.
    """
    advantages = np.empty((DRAWS, CHECKPOINTS, 2))
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        for checkpoint in range(CHECKPOINTS):
            advantages[draw, checkpoint] = cut(rng.normal(size=2 * SIDE), draw)
    select, report = advantages[..., 0], advantages[..., 1]
    chosen = report[np.arange(DRAWS), select.argmin(axis=1)]
    return float((chosen.mean() - report.mean()) / report.std())


def test_the_chosen_checkpoint_is_not_flattered_by_its_choice():
    assert abs(flattery(by_the_library)) < 0.15


def test_halves_that_share_members_would_flatter_it():
    assert flattery(sharing_members) < -0.25
