"""Canaries: training examples that are in by a fair coin each, so that one run can be audited for privacy.

A canary takes the place of a member that was drawn by lot. Who is one, what it looks like and its coin come
from streams of their own and are a file, written before anything is trained: nobody has to infer who was in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from privacy_report.datasets import prepared
from privacy_report.datasets.prepared import Prepared
from privacy_report.datasets.schema import CanaryParams
from privacy_report.pipeline import memo
from privacy_report.pipeline.files import read_arrays, write_arrays
from privacy_report.pipeline.params import refuse

FOLDER = Path("data/canaries")
READ_WORLD = "privacy_report.datasets.canaries.read_world"
STREAM = 0x63616E61
CHOICE, COINS = range(2)
"""Streams of random numbers that no other purpose has, next to STREAM."""


@dataclass(frozen=True)
class Canaries:
    """Canaries in ascending order of their places, which says nothing about their coins.

    index: int32 (m,), rows of the prepared arrays, all members; labels: int32 (m,), those to train on;
    images: uint8 (m, H, W, C), or none where the examples are left as they are; is_member: bool (m,),
    who is in.
    """

    index: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    is_member: np.ndarray


def drawn(found: Prepared, params: CanaryParams | None) -> Canaries:
    """A variant's canaries, none without `params`. UserError for more than there are members or colours."""
    shape, nobody = found.images.shape[1:], np.asarray(found.images[:0])
    if params is None:
        nothing = np.empty(0, np.int32)
        return Canaries(nothing, nothing, nobody, nothing.astype(bool))
    if params.count > len(found.member):
        raise refuse("canaries.count", params.count, f"at most {len(found.member)}, the members")
    choice, coins = (
        np.random.default_rng(np.random.SeedSequence(params.seed, spawn_key=(STREAM, purpose)))
        for purpose in (CHOICE, COINS)
    )
    index = np.sort(choice.permutation(np.asarray(found.member))[: params.count])
    n_classes, labels = found.about["n_classes"], np.asarray(found.labels)[index]
    images = nobody
    if params.kind == "mislabelled":
        labels = (labels + choice.integers(1, n_classes, len(index))) % n_classes
    elif params.kind == "blank":
        if len(shape) != 3 or found.images.dtype != np.uint8:
            raise refuse("canaries.kind", "blank", "mislabelled or natural, where the examples are no images")
        labels = choice.integers(0, n_classes, len(index))
        images = np.broadcast_to(_colours(choice, len(index), shape[-1]), (len(index), *shape))
    is_member = coins.random(len(index)) < 0.5
    return Canaries(index, labels.astype(np.int32), np.ascontiguousarray(images), is_member)


def _colours(rng: np.random.Generator, count: int, channels: int) -> np.ndarray:
    """Colours uint8 (count, 1, 1, channels), no two alike: one canary must not stand in for another."""
    most = 256 ** min(channels, 3)
    if count > most:
        raise refuse("canaries.count", count, f"at most {most} blank images, one a colour")
    codes = rng.choice(most, count, replace=False, shuffle=False)
    digits = [codes // 256**i % 256 for i in range(channels)]
    return np.stack(digits, axis=1).astype(np.uint8)[:, None, None, :]


def path_of(variant: str, folder: Path = FOLDER) -> Path:
    """The file of a variant's canaries."""
    return folder / f"{variant}.npz"


def write(path: Path, canaries: Canaries) -> None:
    """Write canaries as an .npz of their four arrays."""
    write_arrays(path, vars(canaries))


def read(path: Path | str) -> Canaries:
    """Read what `write` has written. UserError where there is no such file."""
    return Canaries(**read_arrays(path))


@dataclass(frozen=True)
class World:
    """A variant's examples: the prepared ones, with the canaries in the places of those members.

    everyone: its members are those there would be, were all canaries in; canary: int32 (m,) rows, and
    is_member bool (m,), their coins.
    """

    everyone: Prepared
    canary: np.ndarray
    is_member: np.ndarray

    @property
    def absent(self) -> np.ndarray:
        """Which members of `everyone` are canaries whose coin keeps them out, bool (n_member,)."""
        return np.isin(self.everyone.member, self.canary[~self.is_member])

    @property
    def others(self) -> Prepared:
        """All examples but the canaries."""
        if not len(self.canary):
            return self.everyone
        member = self.everyone.member
        return replace(self.everyone, member=member[~np.isin(member, self.canary)])

    @property
    def coins(self) -> Prepared:
        """The canaries alone: those that are in are the members."""
        inside, outside = self.canary[self.is_member], self.canary[~self.is_member]
        return replace(self.everyone, member=inside, nonmember=outside)

    @property
    def for_references(self) -> Prepared:
        """All examples, the canaries last, by their places: no coin has a part in who trains on whom."""
        if not len(self.canary):
            return self.everyone
        others = self.others
        return replace(others, nonmember=np.concatenate([others.nonmember, self.canary]))


def world(found: Prepared, canaries: Canaries) -> World:
    """Put canaries in their places; without any, everything is as prepared."""
    if len(canaries.index):
        labels = np.array(found.labels)
        labels[canaries.index] = canaries.labels
        found = replace(found, labels=labels)
    if len(canaries.images):
        images = np.array(found.images)
        images[canaries.index] = canaries.images
        found = replace(found, images=images)
    return World(found, canaries.index, canaries.is_member)


def read_world(path: Path | str, folder: Path | str = prepared.FOLDER) -> World:
    """The examples of a variant, from the file of its canaries and the prepared folder."""
    return world(prepared.read(folder), read(path))


def files_digest(path: Path | str, folder: Path | str = prepared.FOLDER) -> str:
    """SHA-256 (hex) of what `read_world` reads and its code; without canaries of the prepared files alone."""
    digest = prepared.files_digest(folder)
    if not len(read(path).index):
        return digest
    return memo.digest([digest, memo.file_digest(path), memo.base(READ_WORLD)["code"]])
