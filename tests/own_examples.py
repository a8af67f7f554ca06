"""What tests of a user's own data share."""

import numpy as np
import pytest

from privacy_report.errors import UserError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 5, 4)).astype(np.uint8)
LABELS = np.arange(12) % 3
ONE_SPLIT = {"member_split": "all", "nonmember_split": "all", "member_fraction": 0.5}


def refused(words, work):
    with pytest.raises(UserError, match=words) as error:
        work()
    assert "\n" not in str(error.value)
