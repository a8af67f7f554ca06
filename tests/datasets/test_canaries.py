"""Canaries: who is one, what it looks like, and coins that depend on nothing else."""

import numpy as np
import pytest
from scipy import stats

from privacy_report.datasets import canaries, preparation, prepared
from privacy_report.datasets.canaries import files_digest, read, read_world, world
from privacy_report.datasets.canary_draw import drawn, write
from privacy_report.datasets.canary_params import CANARY_KINDS, GRADIENT, CanaryParams
from privacy_report.datasets.labelled import LabelledImages
from privacy_report.datasets.prepared import Prepared
from privacy_report.datasets.splits import Membership
from privacy_report.errors import UserError

N, MEMBERS = 600, 500
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (N, 4, 4, 3), dtype=np.uint8)
LABELS = RNG.integers(0, 5, N).astype(np.int32)
MEMBER = np.sort(RNG.permutation(N)[:MEMBERS]).astype(np.int32)
NONMEMBER = np.setdiff1d(np.arange(N, dtype=np.int32), MEMBER)
FOUND = Prepared(IMAGES, LABELS, MEMBER, NONMEMBER, {"n_classes": 5})

EXAMPLES = [kind for kind in CANARY_KINDS if kind != GRADIENT]


def params(count=200, kind="mislabelled", seed=0):
    return CanaryParams(count, kind, seed)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_canaries_are_members_and_none_is_there_twice(kind):
    canary_set = drawn(FOUND, params(kind=kind))
    assert len(set(canary_set.index.tolist())) == 200
    assert set(canary_set.index.tolist()) <= set(MEMBER.tolist())
    assert (np.diff(canary_set.index) > 0).all()  # so that their order is none of the coins


@pytest.mark.parametrize("kind", EXAMPLES)
def test_coins_are_of_a_stream_of_their_own(kind):
    """The same seed flips the same coins whoever the canaries are, and the choice says nothing of them."""
    canary_set = drawn(FOUND, params(kind=kind))
    assert (canary_set.is_member == drawn(FOUND, params()).is_member).all()
    assert 70 < canary_set.is_member.sum() < 130
    assert canary_set.is_member.sum() != 100  # fair coins, not a half
    others = drawn(FOUND, params(seed=1))
    agree = (canary_set.is_member == others.is_member).sum()
    assert stats.binomtest(int(agree), 200).pvalue > 0.001
    halves = [canary_set.is_member[canary_set.index % 2 == side].mean() for side in (0, 1)]
    assert abs(halves[0] - halves[1]) < 0.25


def test_coins_are_fair():
    coins = np.concatenate([drawn(FOUND, params(500, seed=seed)).is_member for seed in range(100)])
    assert stats.binomtest(int(coins.sum()), len(coins)).pvalue > 0.001
    pairs = coins[1:] == coins[:-1]
    assert stats.binomtest(int(pairs.sum()), len(pairs)).pvalue > 0.001


def test_mislabelled_canaries_have_a_wrong_label_and_their_own_image():
    canary_set = drawn(FOUND, params())
    assert (canary_set.labels != LABELS[canary_set.index]).all()
    assert set(canary_set.labels.tolist()) == set(range(5))
    assert len(canary_set.images) == 0
    again = drawn(FOUND, params())
    assert (again.labels == canary_set.labels).all()


def test_natural_canaries_are_left_as_they_are():
    canary_set = drawn(FOUND, params(kind="natural"))
    assert (canary_set.labels == LABELS[canary_set.index]).all()
    made = world(FOUND, canary_set)
    assert (made.everyone.images == IMAGES).all()
    assert (made.everyone.labels == LABELS).all()


def test_blank_canaries_have_one_colour_each_and_no_two_the_same():
    canary_set = drawn(FOUND, params(kind="blank"))
    assert canary_set.images.shape == (200, 4, 4, 3)
    assert (canary_set.images == canary_set.images[:, :1, :1]).all()
    assert len({image.tobytes() for image in canary_set.images}) == 200
    grey = Prepared(IMAGES[..., :1], LABELS, MEMBER, NONMEMBER, FOUND.about)
    assert len({image.tobytes() for image in drawn(grey, params(250, "blank")).images}) == 250
    with pytest.raises(UserError, match=r"canaries\.count: got 257, allowed: at most 256 blank images"):
        drawn(grey, params(257, "blank"))


def test_a_world_has_canaries_in_their_places_and_apart_from_the_others():
    canary_set = drawn(FOUND, params(kind="blank"))
    made = world(FOUND, canary_set)
    assert (made.everyone.labels[canary_set.index] == canary_set.labels).all()
    assert (made.everyone.images[canary_set.index] == canary_set.images).all()
    rest = np.setdiff1d(np.arange(N), canary_set.index)
    assert (made.everyone.images[rest] == IMAGES[rest]).all()
    assert (made.everyone.labels[rest] == LABELS[rest]).all()
    assert sorted([*made.others.member, *canary_set.index]) == MEMBER.tolist()
    assert (made.everyone.member == MEMBER).all()
    assert (MEMBER[made.absent] == canary_set.index[~canary_set.is_member]).all()
    assert (made.coins.member == canary_set.index[canary_set.is_member]).all()
    assert (made.coins.nonmember == canary_set.index[~canary_set.is_member]).all()
    assert made.for_references.nonmember[-200:].tolist() == canary_set.index.tolist()
    assert (FOUND.labels == LABELS).all()  # the prepared arrays are left alone


def test_without_canaries_the_world_is_as_prepared():
    made = world(FOUND, drawn(FOUND, None))
    assert made.everyone is made.others is made.for_references is FOUND
    assert not made.absent.any()


def test_only_images_can_be_blank():
    table = Prepared(IMAGES.reshape(N, -1).astype(np.float32), LABELS, MEMBER, NONMEMBER, FOUND.about)
    with pytest.raises(UserError, match=r"canaries\.kind: got 'blank', allowed: mislabelled or natural"):
        drawn(table, params(kind="blank"))
    assert len(drawn(table, params()).index) == 200


def test_more_canaries_than_members_are_refused():
    with pytest.raises(UserError, match=r"canaries\.count: got 501, allowed: at most 500, the members"):
        drawn(FOUND, params(501))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"count": 9}, r"canaries\.count: got 9, allowed: an integer of at least 10"),
        ({"count": 20, "kind": "poison"}, r"canaries\.kind: got 'poison', allowed: blank, gradient, mis"),
        ({"count": 20, "seed": -1}, r"canaries\.seed: got -1"),
    ],
)
def test_impossible_parameters_are_refused(values, said):
    with pytest.raises(UserError, match=said):
        CanaryParams(**values)


def test_what_is_written_is_read_and_is_in_the_digest(tmp_path):
    names = tuple("abcde")
    examples = LabelledImages(IMAGES, LABELS, names, {"all": range(N)})
    preparation.write(tmp_path, "made", examples, Membership(MEMBER, NONMEMBER))
    paths = {name: canaries.path_of(name, tmp_path) for name in ("none", "some", "other")}
    for name, wanted in (("none", None), ("some", params()), ("other", params(seed=1))):
        write(paths[name], drawn(FOUND, wanted))
    assert files_digest(paths["none"], tmp_path) == prepared.files_digest(tmp_path)
    digests = {files_digest(path, tmp_path) for path in paths.values()}
    assert len(digests) == 3
    for name, array in vars(drawn(FOUND, params())).items():
        assert (getattr(read(paths["some"]), name) == array).all()
    assert (
        read_world(paths["some"], tmp_path).everyone.labels
        == world(FOUND, drawn(FOUND, params())).everyone.labels
    ).all()


def test_gradients_are_no_examples():
    canary_set = drawn(FOUND, params(kind=GRADIENT))
    assert (len(canary_set.index), len(canary_set.images), len(canary_set.is_member)) == (0, 0, 0)
