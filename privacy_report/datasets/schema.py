"""The section `dataset` of params.yaml."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from privacy_report.pipeline.params import one_of, refuse

OWN_DATA = "own_data"
"""The folder that dvc.yaml declares, so that an edit of a user's data is seen."""
OWN = {
    "arrays": ("path",),
    "folder": ("path", "size", "colour", "person"),
    "table": ("path", "label", "split", "drop", "person", "groups", "fit_split", "scales", "categories"),
}
"""Kind of a user's own data -> its settings."""
NEEDED = ("path", "label")
COLOURS = ("grey", "rgb")
FOLDER = "folder"
"""Setting `person` of a folder: a level of folders below the classes."""


@dataclass
class DatasetParams:
    """Which dataset, and which of its examples are in the target's training set.

    name: `cifar10`, `digits`, any image-classification dataset of TFDS (`mnist`, `name/config`), or one of
        the user's own: `arrays`, `folder`, `table`, whose file or folder in own_data is `path`.
    size, colour: of a folder, what all images are made equal by, see `images.load`.
    label, split, drop: of a table, the columns with the classes, with the splits, and those to leave out.
    person: of a table, the column that says whose row it is, which is no feature; of a folder, `folder`: each
        class has a folder per person. Arrays say it themselves. A person is a member or not with all rows.
    groups: of a table, columns each of whose values is a group that attacks look at (`attack.groups:
        columns`). They are features as well, unless `drop` has them.
    fit_split: of a table, the public split whose means, medians and categories scale the columns; null: those
        of the members. scales, categories: of a table, public constants instead: column -> [mean, deviation],
        column -> the texts. Without fit_split they are for all columns or for none.
    member_split, nonmember_split: the splits that members and non-members come from. `digits` has the
        one split `all`; `cifar10` has `train` and `test`, other TFDS datasets what TFDS lists.
    member_fraction: where both come from one split, the part of each class that are members, drawn
        with `seed`; must be null where the splits differ, as then each split is taken whole.
    title: what the report and the cards call the data; null: `name`.
    public: whether anybody may see the images. It changes nothing in data/prepare; only where it is true does
        the report show images.
    """

    name: str
    member_split: str = "train"
    nonmember_split: str = "test"
    member_fraction: float | None = None
    seed: int = 0
    path: str | None = None
    size: list[int] | None = None
    colour: str | None = None
    label: str | None = None
    split: str | None = None
    drop: list[str] = field(default_factory=list)
    person: str | None = None
    groups: list[str] = field(default_factory=list)
    fit_split: str | None = None
    scales: dict[str, Any] = field(default_factory=dict)
    categories: dict[str, list[str]] = field(default_factory=dict)
    title: str | None = None
    public: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]\w*(/[\w.+-]+)?", self.name):
            raise refuse("name", self.name, "cifar10, digits, or the name of a TFDS dataset such as mnist")
        if self.title is not None and (not self.title.strip() or set(self.title) & set("|\n\r")):
            raise refuse("title", self.title, "one line of text without |, or null")
        self._check_own()
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

    @property
    def fitted_on_members(self) -> bool:
        """Whether features hold means, medians or categories of the members."""
        return self.name == "table" and not (self.fit_split or self.scales or self.categories)

    def _check_own(self) -> None:
        """Refuse settings that this kind of data does not have, and those that it lacks."""
        allowed = OWN.get(self.name, ())
        for key in dict.fromkeys(key for keys in OWN.values() for key in keys):
            value = getattr(self, key)
            if key not in allowed and value:
                raise refuse(key, value, f"null for {self.name}")
            if key in allowed and key in NEEDED and not value:
                raise refuse(key, value, f"a value, which {self.name} needs")
        if self.path and (Path(self.path).parts[:1] != (OWN_DATA,) or ".." in Path(self.path).parts):
            raise refuse("path", self.path, f"a file or folder in {OWN_DATA}, which dvc.yaml declares")
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise refuse("size", self.size, "[height, width] in pixels, or null")
        if self.colour is not None:
            one_of("colour", self.colour, COLOURS)
        if self.name == "folder" and self.person is not None:
            one_of("person", self.person, [FOLDER])
        if self.person is not None and self.person in (self.label, self.split):
            raise refuse("person", self.person, "a column that is neither label nor split")
        others = {self.label, self.split, self.person}
        if len(set(self.groups)) < len(self.groups) or others & set(self.groups):
            words = "columns, each once, that are neither label, split nor person"
            raise refuse("groups", self.groups, words)
        self._check_constants()

    def _check_constants(self) -> None:
        """Refuse a split that is not public, and constants that cannot scale a column."""
        if self.fit_split and self.fit_split in (self.member_split, self.nonmember_split):
            sides = "a split that is neither member_split nor nonmember_split"
            raise refuse("fit_split", self.fit_split, sides)
        for column, scale in self.scales.items():
            if not _is_scale(scale):
                raise refuse(f"scales.{column}", scale, "[mean, deviation], the deviation above 0")
        for column, texts in self.categories.items():
            if not texts or len(set(texts)) < len(texts):
                raise refuse(f"categories.{column}", texts, "at least one text, each once")
        if both := [column for column in self.scales if column in self.categories]:
            raise refuse("scales", both[0], "a column that categories does not have")


def _is_scale(value: Any) -> bool:
    """Whether a value from YAML is [mean, deviation]."""
    try:
        mean, deviation = map(float, value)
    except (TypeError, ValueError):
        return False
    return math.isfinite(mean) and math.isfinite(deviation) and deviation > 0
