"""Which epochs and references there are, and on what an epoch's key depends."""

from dataclasses import replace

import numpy as np
import pytest
from small import small_cnn

from privacy_report.training.job import NOWHERE
from privacy_report.training.memberships import ReferenceParams
from privacy_report.training.plan import target
from privacy_report.training.references import planned
from privacy_report.training.schema import Variant

CONFIG = Variant("V", small_cnn(), epochs=6, epochs_per_report=2)


class Kept:
    """A store that has every epoch: arrays of a number each."""

    def __init__(self, values):
        self.values, self.keys = values, []

    def recall(self, kind, key, make):
        self.keys.append(key)
        return {"weights/000": np.array(self.values[len(self.keys) - 1])}


def keys(values, config=CONFIG):
    kept = Kept(values)
    assert [epoch for epoch, _ in target("v", config, NOWHERE).epochs(kept, len(values))] == [1, 2, 3]
    return kept.keys


def test_an_epochs_key_depends_on_what_the_epoch_before_left():
    """With secret noise a lost epoch comes back different, and what was trained from the lost one is void."""
    first, again, other = keys([1, 2, 3]), keys([1, 2, 4]), keys([9, 2, 3])
    assert len(set(first)) == 3
    assert again == first  # an epoch has no part in its own key
    assert other[0] == first[0]
    assert other[1] != first[1]
    assert other[2] == first[2]  # which begins where epoch 2 ended, and that is the same


def test_a_longer_run_has_the_keys_of_a_shorter_one_and_another_seed_has_none_of_them():
    assert keys([1, 2, 3], replace(CONFIG, epochs=60)) == keys([1, 2, 3])
    assert not set(keys([1, 2, 3], replace(CONFIG, seed=1))) & set(keys([1, 2, 3]))


@pytest.mark.parametrize(
    ("epochs", "expected"), [(2, (2,)), (5, (2, 4)), (6, (2, 4, 6)), (20, (2, 4, 6)), (None, (2, 4, 6))]
)
def test_references_are_kept_at_the_checkpoints_up_to_their_own_last_epoch(epochs, expected):
    references = planned("v", CONFIG, ReferenceParams(models=2, epochs=epochs), 10, NOWHERE)
    assert [reference.epochs for reference in references] == [expected] * 2
