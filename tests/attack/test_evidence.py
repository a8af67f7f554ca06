"""What the attacker holds next to a checkpoint: early checkpoints, and reference models of which epoch."""

import numpy as np
import pytest
from planted import planted, write_references

from privacy_report.attack.choice import chosen, early_epochs
from privacy_report.attack.evidence import early_phi, nearest, reference_files
from privacy_report.attack.reference_checks import choose_epochs
from privacy_report.errors import UserError
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.outputs import output_arrays

EVERY_SECOND = range(2, 51, 2)


@pytest.mark.parametrize(
    ("epochs", "epoch", "early"),
    [
        (EVERY_SECOND, 2, []),
        (EVERY_SECOND, 4, [2]),
        (EVERY_SECOND, 6, [2]),
        (EVERY_SECOND, 8, [2]),
        (EVERY_SECOND, 10, [2, 4]),
        (EVERY_SECOND, 14, [2, 4, 6]),
        (EVERY_SECOND, 16, [2, 4, 6]),
        (EVERY_SECOND, 18, [2, 4, 6, 8]),
        (EVERY_SECOND, 20, [2, 4, 6, 8]),
        (EVERY_SECOND, 50, [2, 4, 6, 8]),
        ([50, 1, 49], 50, [1]),
        ([7], 7, []),
        ([7], 9, [7]),
    ],
)
def test_the_rule_for_early_checkpoints_is_fixed(epochs, epoch, early):
    assert early_epochs(list(epochs), epoch) == early


def test_later_checkpoints_do_not_change_the_early_ones():
    """Training on changes no number of the checkpoints that there are."""
    for epoch in EVERY_SECOND:
        assert early_epochs(list(EVERY_SECOND), epoch) == early_epochs(list(range(2, epoch + 1, 2)), epoch)


def test_early_confidences_are_those_of_the_score_files(tmp_path):
    world, paths = planted(k=0), [tmp_path / "2.npz", tmp_path / "4.npz"]
    for path, epoch in zip(paths, (2, 4), strict=True):
        write_arrays(path, output_arrays(world.outputs(epoch)))
    phi = early_phi(paths)
    assert phi.dtype == np.float32
    logits = np.stack([world.checkpoints[2], world.checkpoints[4]]).astype(float)
    of_label = np.take_along_axis(logits, world.labels[None, :, None], axis=2)[..., 0]
    odds = np.exp(of_label) / (np.exp(logits).sum(axis=2) - np.exp(of_label))
    np.testing.assert_allclose(phi, np.log(odds), atol=1e-5)


def test_files_of_references_are_found_by_their_epochs(tmp_path):
    world = planted()
    phi = world.phi(world.references)
    files = reference_files(
        write_references(tmp_path / "cnn2", world.trains, {4: phi, 10: phi + 1, 2: phi + 2})
    )
    assert list(files.phi) == [2, 4, 10]
    assert files.trains.name == "trains.npy"
    assert (files.memberships() == world.trains).all()
    for epoch, more in ((2, 2), (4, 0), (10, 1)):
        references = files.at(epoch)
        assert (references.phi == phi + np.float32(more)).all()
        assert (references.is_member == world.trains).all()


def test_no_models_are_no_references(tmp_path):
    assert reference_files(write_references(tmp_path / "cnn2", np.zeros((0, 7), bool), {})) is None


def test_a_missing_stage_is_named(tmp_path):
    with pytest.raises(UserError) as caught:
        reference_files(tmp_path / "cnn9")
    path = tmp_path / "cnn9/trains.npy"
    assert str(caught.value) == f"{path}: no such file; `dvc repro reference@cnn9` makes it"


@pytest.mark.parametrize(
    ("epoch", "expected"), [(1, 4), (4, 4), (7, 4), (8, 10), (15, 10), (16, 20), (50, 20)]
)
def test_the_nearest_epoch_of_two_the_earlier(epoch, expected):
    assert nearest([20, 4, 10], epoch) == expected


def noisy(world, noise, seed):
    phi = world.phi(world.references)
    return (phi + noise * np.random.default_rng(seed).standard_normal(phi.shape)).astype(np.float32)


def test_references_choose_their_epoch_by_attacking_each_other(tmp_path):
    """The epoch with the least noise of its own, wherever it lies."""
    world = planted(k=6, n_member=700, n_nonmember=700)
    for best in (2, 4, 6):
        phis = {epoch: noisy(world, 0.1 if epoch == best else 3.0, epoch) for epoch in (2, 4, 6)}
        files = reference_files(write_references(tmp_path / "cnn2", world.trains, phis))
        arrays = chosen(files)
        assert arrays["nearest"].tolist() == [2, 4, 6]
        assert arrays["chosen"].tolist() == list(choose_epochs(phis, world.trains, [2, 4, 6]).values())
        assert arrays["chosen"][2] == best


def test_one_pair_cannot_choose_and_takes_the_nearest(tmp_path):
    world = planted(k=2)
    phis = {epoch: noisy(world, 0.1, epoch) for epoch in (4, 10)}
    files = reference_files(write_references(tmp_path / "cnn2", world.trains, phis))
    assert {name: array.tolist() for name, array in chosen(files).items()} == {
        "nearest": [4, 10],
        "chosen": [4, 10],
    }


def test_a_reference_that_diverged_is_named_and_chosen_by_nobody(tmp_path):
    world = planted()
    phis = {4: noisy(world, 0.1, 4), 10: noisy(world, 0.1, 10)}
    phis[10][2, 7] = np.nan
    files = reference_files(write_references(tmp_path / "cnn2", world.trains, phis))
    with pytest.raises(UserError, match=r"^epoch 10: reference 2: got nan for example 7, allowed: finite"):
        chosen(files)
    with pytest.raises(UserError, match=r"^reference 2: got nan for example 7"):
        files.at(10)
    assert files.at(4).k == 4


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_reference_that_diverged_at_one_query_is_named_too(bad, tmp_path):
    """A confidence of +inf is a loss of 0, which the mean over queries would hide."""
    world = planted()
    phi = np.stack([noisy(world, 0.1, query) for query in range(3)], axis=1)
    phi[2, 1, 7] = bad
    files = reference_files(write_references(tmp_path / "cnn2", world.trains, {4: phi}))
    with pytest.raises(UserError, match=rf"^reference 2: got {bad} for example 7, allowed: finite"):
        files.at(4)
    with pytest.raises(UserError, match=rf"^epoch 4: reference 2: got {bad} for example 7"):
        chosen(files)
