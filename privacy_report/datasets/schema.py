"""The `dataset` section of params.yaml."""

from __future__ import annotations

import re
from dataclasses import dataclass

from privacy_report.pipeline.params import refuse


@dataclass
class DatasetParams:
    """Which dataset, and who of it is in the target's training set.

    name: `cifar10`, `digits`, or any image-classification dataset of TFDS (`mnist`, `name/config`).
    member_split, nonmember_split: the splits that members and non-members come from. `digits` has the
        one split `all`; `cifar10` has `train` and `test`, other TFDS datasets what TFDS lists.
    member_fraction: where both come from one split, the part of each class that are members, drawn
        with `seed`; must be null where the splits differ, as then each split is taken whole.
    public: whether anybody may see the images. It changes nothing in data/prepare; only where it is true does
        the report show images.
    """

    name: str
    member_split: str = "train"
    nonmember_split: str = "test"
    member_fraction: float | None = None
    seed: int = 0
    public: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]\w*(/[\w.+-]+)?", self.name):
            raise refuse("name", self.name, "cifar10, digits, or the name of a TFDS dataset such as mnist")
        if self.seed < 0:
            raise refuse("seed", self.seed, "an integer of at least 0")
        if self.member_split != self.nonmember_split:
            if self.member_fraction is not None:
                raise refuse("member_fraction", self.member_fraction, "null where the two splits differ")
        elif self.member_fraction is None or not 0 < self.member_fraction < 1:
            raise refuse(
                "member_fraction",
                self.member_fraction,
                "between 0 and 1 where both sides come from one split",
            )
