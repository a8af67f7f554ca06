"""Canaries that carry ids: scores and coins are joined by them, whatever their orders, or refused."""

import numpy as np
import pytest

from privacy_report.attack.one_run import one_run
from privacy_report.audits.api import audit_file
from privacy_report.audits.audit_file import audit_file as file_of
from privacy_report.errors import UserError

M = 400
RNG = np.random.default_rng(0)
COINS = RNG.random(M) < 0.5
SCORES = COINS + RNG.normal(size=M)
IDS = RNG.permutation(10 * M)[:M]


def arrays(scores=range(M), coins=range(M), ids=IDS):
    """The canaries at some places of each side, with their ids."""
    scores, coins = list(scores), list(coins)
    return {
        "canary_scores": SCORES[scores],
        "canary_id": ids[scores],
        "canary_is_member": COINS[coins],
        "canary_coin_id": ids[coins],
    }


@pytest.mark.parametrize(
    "ids", [IDS, IDS.astype(str), IDS.astype(np.uint16), IDS.astype(object), IDS.astype(str).astype(object)]
)
def test_permuted_canaries_are_joined(ids):
    """The oracle puts each coin next to its score by a loop over the original order."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        order, other = rng.permutation(M), rng.permutation(M)
        scores, coins = file_of(arrays(order, other, ids), "mine").canaries
        np.testing.assert_array_equal(scores, SCORES[order])
        np.testing.assert_array_equal(coins, [COINS[place] for place in order])
        assert coins.dtype == bool


def test_the_bound_is_that_of_the_joined_canaries(tmp_path):
    """By position the permuted coins would show nothing at all."""
    other = RNG.permutation(M)
    given = arrays(coins=other)
    np.savez(tmp_path / "mine.npz", **given)
    coins = audit_file(tmp_path / "mine.npz").coins
    assert coins.epsilon_one_run == one_run(SCORES, COINS, coins.delta).epsilon_one_run > 0
    assert one_run(SCORES, COINS[other], coins.delta).epsilon_one_run == 0


def test_ids_may_stand_next_to_coins_of_numbers_and_outputs():
    labels = RNG.integers(0, 3, 30)
    logits = RNG.normal(size=(30, 3))
    outputs = {f"{side}_logits": logits + at for at, side in enumerate(("member", "nonmember"))}
    outputs |= {f"{side}_labels": labels for side in ("member", "nonmember")}
    given = arrays(coins=range(M - 1, -1, -1))
    given["canary_is_member"] = given["canary_is_member"].astype(int)
    file = file_of(outputs | given, "mine")
    assert file.outputs is not None
    np.testing.assert_array_equal(file.canaries[1], COINS)


def with_(**changes):
    return {name: value for name, value in (arrays() | changes).items() if value is not None}


TWICE = np.array([*IDS[:-2], IDS[0], IDS[1]])
FIRST = ", ".join(map(str, sorted(IDS[:2].tolist())))
SMALL = ", ".join(map(str, sorted(IDS.tolist())[:3]))
BAD = {
    "no ids of coins": (with_(canary_coin_id=None), "lacks canary_coin_id"),
    "no ids of scores": (with_(canary_id=None), "lacks canary_id"),
    "no scores": (with_(canary_scores=None), "lacks canary_scores"),
    "an id twice": (with_(canary_id=TWICE), f"canary_id has canaries more than once: {FIRST}"),
    "a coin twice": (with_(canary_coin_id=TWICE), f"canary_coin_id has canaries more than once: {FIRST}"),
    "a coin is missing": (arrays(coins=range(1, M)), f"canary_id has canaries without a coin: {IDS[0]}"),
    "a score is missing": (arrays(range(M - 1)), f"canary_coin_id has canaries without a score: {IDS[-1]}"),
    "other canaries": (
        with_(canary_coin_id=IDS + 10 * M),
        f"canary_id has canaries without a coin: {SMALL} and 397 more",
    ),
    "text and numbers": (with_(canary_coin_id=IDS.astype(str)), "canary_id has canaries without a coin"),
    "floats": (
        with_(canary_id=IDS.astype(float)),
        r"canary_id must be integers or text \(400,\), as canary_scores, got float64 \(400,\)",
    ),
    "another length": (
        with_(canary_coin_id=IDS[1:]),
        r"canary_coin_id must be integers or text \(400,\), as canary_is_member, got int64 \(399,\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_join_is_one_line(case):
    given, said = BAD[case]
    with pytest.raises(UserError, match=said) as caught:
        file_of(given, "mine.npz")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("mine.npz: ")


def test_ties_of_scores_tell_nothing_although_the_file_is_in_the_order_of_the_coins(tmp_path):
    """All scores are equal: half of the guesses are right, whichever side comes first."""
    for coins in (np.arange(2000) < 1000, np.arange(2000) >= 1000):
        np.savez(tmp_path / "mine.npz", canary_scores=np.zeros(2000), canary_is_member=coins)
        assert 170 < audit_file(tmp_path / "mine.npz").coins.correct < 230
