"""Who trains, who validates."""

import numpy as np

from privacy_report.datasets.prepared import Prepared
from privacy_report.training.data import of_references, of_variant

FOUND = Prepared(
    np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2, 1),
    np.array([0, 1, 2, 0, 1]),
    member=np.array([4, 0, 2]),
    nonmember=np.array([1, 3]),
    about={"n_classes": 3},
)


def test_a_variant_trains_on_the_members_and_validates_on_the_others():
    data = of_variant(FOUND)
    assert (data.train.tolist(), data.validation.tolist(), data.n_classes) == ([4, 0, 2], [1, 3], 3)
    np.testing.assert_array_equal(data.images[data.train], FOUND.images[[4, 0, 2]])


def test_references_see_all_examples_members_first_and_validate_on_none():
    data = of_references(FOUND)
    assert (data.train.tolist(), data.validation.tolist(), data.n_classes) == ([4, 0, 2, 1, 3], [], 3)
