"""References where rows have persons: coins by person, and none of it without persons."""

import numpy as np
from small import small_cnn

from privacy_report.pipeline.digests import arrays_digest
from privacy_report.training import person_coins, references
from privacy_report.training.job import NOWHERE
from privacy_report.training.memberships import ReferenceParams
from privacy_report.training.schema import Variant

CONFIG = Variant("V", small_cnn(), epochs=2)


def test_with_persons_a_reference_trains_on_all_rows_of_one_or_none():
    """Row by row the coins are those of the persons, of whom only the number counts; the key has the rows."""
    persons = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 4))
    params = ReferenceParams(models=4, epochs=2)
    alone = references.planned("v", CONFIG, params, 10, NOWHERE)
    found = person_coins.planned("v", CONFIG, params, 40, NOWHERE, persons)
    for one, other in zip(alone, found, strict=True):
        np.testing.assert_array_equal(other.trains, one.trains[persons])
        assert other.inputs["members"] == arrays_digest({"": other.trains})
        assert other.key(1) != one.key(1)
    trains = np.array([one.trains for one in found])
    assert (trains[0::2] != trains[1::2]).all()


def test_without_persons_references_are_planned_as_ever():
    params = ReferenceParams(models=2, epochs=2)
    found = person_coins.planned("v", CONFIG, params, 10, NOWHERE)
    assert [one.inputs for one in found] == [
        one.inputs for one in references.planned("v", CONFIG, params, 10, NOWHERE)
    ]
