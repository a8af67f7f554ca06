"""What the store keeps by its policy: never less than a killed run needs, and the same bytes in the end."""

from contextlib import suppress
from typing import ClassVar

import numpy as np
import pytest

from privacy_report.errors import UserError
from privacy_report.pipeline import store
from privacy_report.pipeline.memo import Memo
from privacy_report.pipeline.policy import KEEPS, Policy, read_policy, write_policy
from privacy_report.training import run, thinned
from privacy_report.training.schema import Privacy, Variant

EPOCHS = 7


class Killed(BaseException):
    """In the place of a SIGKILL."""


class FakeTrainer:
    """A state that depends on all epochs before it; counts its epochs, and may die in one of them."""

    trained: ClassVar[list[int]] = []
    dies_in = 0
    change = 0.0

    def __init__(self):
        self.weights, self.at = np.zeros(1000), 0

    def restore(self, arrays):
        self.weights, self.at = arrays["weights/000"].copy(), int(arrays["epoch"])

    def run(self, epoch):
        assert epoch == self.at + 1
        if epoch == self.dies_in:
            raise Killed
        self.weights, self.at = self.weights * 1.1 + epoch + self.change, epoch
        self.trained.append(epoch)
        return {
            "weights/000": self.weights.copy(),
            "epoch": np.array(epoch),
            "history/val_loss": np.array(1.0 / epoch),
        }


@pytest.fixture(autouse=True)
def trainer(tmp_path, monkeypatch):
    """An empty store, and the fake trainer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr(FakeTrainer, "trained", [])
    return FakeTrainer


def variant(**changes):
    return Variant(**({"label": "V", "epochs": EPOCHS, "epochs_per_report": 3} | changes))


def train(config=None):
    """A run to the end: checkpoints' weights by epoch, and all epochs' losses."""
    config = config or variant()
    found, losses = {}, []
    for epoch, arrays in run.finished_epochs(Memo("train@v"), config, {"name": "v"}, FakeTrainer):
        if epoch in config.checkpoint_epochs:
            found[epoch] = arrays["weights/000"].tobytes()
        losses.append(float(arrays["history/val_loss"]))
    return found, losses


def full_states():
    """How many entries hold a state."""
    keys = [path.stem for path in (store.root() / "epoch").glob("*.npz")]
    return sum(not thinned.is_rest(store.get("epoch", key).arrays) for key in keys)


@pytest.mark.parametrize(("keep", "states"), [("all", 7), ("checkpoints", 3), ("last", 1)])
def test_what_is_left_of_a_finished_run(keep, states, trainer):
    expected = train()
    (store.root() / "epoch").rename("elsewhere")
    write_policy(Policy(keep))
    assert train() == expected
    assert full_states() == states  # of epochs 3, 6 and the last
    assert trainer.trained == [*range(1, EPOCHS + 1)] * 2


@pytest.mark.parametrize("keep", KEEPS)
def test_a_run_killed_in_any_epoch_loses_that_epoch_alone(keep, trainer, monkeypatch):
    expected = train()
    write_policy(Policy(keep))
    for dies_in in range(1, EPOCHS + 1):
        for path in (store.root() / "epoch").glob("*"):
            path.unlink()
        trainer.trained.clear()
        monkeypatch.setattr(trainer, "dies_in", dies_in)
        with pytest.raises(Killed):
            train()
        monkeypatch.setattr(trainer, "dies_in", 0)
        assert train() == expected
        assert trainer.trained == [*range(1, EPOCHS + 1)]  # no epoch twice


@pytest.mark.parametrize("keep", ["checkpoints", "last"])
def test_a_run_killed_while_it_drops_a_state_loses_nothing(keep, trainer, monkeypatch):
    expected = train()
    write_policy(Policy(keep))
    refill = store.refill
    for when in (0, 1):
        for path in (store.root() / "epoch").glob("*"):
            path.unlink()
        trainer.trained.clear()

        def killed(*args, when=when):
            if when:
                refill(*args)
            raise Killed

        for _ in range(2):
            monkeypatch.setattr(store, "refill", killed)
            with suppress(Killed):
                train()
        monkeypatch.setattr(store, "refill", refill)
        assert train() == expected
        assert trainer.trained == [*range(1, EPOCHS + 1)]


def test_checkpoints_are_enough_for_a_rerun_and_for_more_epochs(trainer):
    write_policy(Policy("checkpoints"))
    train()
    trainer.trained.clear()
    first = train()
    assert trainer.trained == []
    longer, _ = train(variant(epochs=9))
    assert trainer.trained == [8, 9]
    assert {epoch: longer[epoch] for epoch in first[0]} == first[0]


def test_what_was_dropped_and_is_wanted_is_trained_again_from_the_state_before_it(trainer):
    expected, _ = train(variant(epochs_per_report=1))
    (store.root() / "epoch").rename("elsewhere")
    write_policy(Policy("checkpoints"))
    train()
    trainer.trained.clear()
    assert train(variant(epochs_per_report=1))[0] == expected
    assert trainer.trained == [1, 2, 4, 5]
    write_policy(Policy("last"))
    train()
    trainer.trained.clear()
    train()
    assert trainer.trained == [1, 2, 3, 4, 5, 6]


def test_what_comes_out_different_is_refused(trainer, monkeypatch):
    write_policy(Policy("last"))
    train()
    monkeypatch.setattr(trainer, "change", 1e-9)
    with pytest.raises(UserError, match=r"^v, epoch 3: the store had dropped it, and it comes out different"):
        train()


def test_secret_noise_cannot_be_drawn_again_and_is_kept():
    write_policy(Policy("last"))
    train(variant(privacy=Privacy(noise_multiplier=1.0, seed="secret")))
    assert full_states() == EPOCHS


def test_a_policy_is_what_was_set_or_one_line():
    assert read_policy() == Policy("all", 50_000.0)
    write_policy(Policy("last", 10.0))
    assert read_policy() == Policy("last", 10.0)
    for keep, limit in (("some", 1.0), ("all", -1.0), ("all", float("nan"))):
        with pytest.raises(UserError, match="allowed"):
            Policy(keep, limit)
    (store.root() / "policy.json").write_text("[1]")
    with pytest.raises(UserError, match=r"policy\.json: no policy of the store .*delete it"):
        read_policy()
