"""Canaries, training examples that are in by a fair coin each, and the examples of a variant with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from privacy_report.datasets import prepared
from privacy_report.datasets.prepared import Prepared
from privacy_report.pipeline.digests import digest, file_digest
from privacy_report.pipeline.files import read_arrays

FOLDER = Path("data/canaries")


@dataclass(frozen=True)
class Canaries:
    """Canaries in ascending order of their places, which says nothing about their coins.

    index: int32 (m,), rows of the prepared arrays, all members; labels: int32 (m,), those to train on;
    images: uint8 or float32 (m, ...), or none where the examples are left as they are; is_member: bool (m,),
    who is in.
    """

    index: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    is_member: np.ndarray


def path_of(variant: str, folder: Path = FOLDER) -> Path:
    """The file of a variant's canaries."""
    return folder / f"{variant}.npz"


def read(path: Path | str) -> Canaries:
    """Read what `canary_draw.write` has written. UserError where there is no such file."""
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


def world(examples: Prepared, canaries: Canaries) -> World:
    """Put canaries in their places; without any, everything is as prepared."""
    if len(canaries.index):
        labels = np.array(examples.labels)
        labels[canaries.index] = canaries.labels
        examples = replace(examples, labels=labels)
    if len(canaries.images):
        images = np.array(examples.images)
        images[canaries.index] = canaries.images
        examples = replace(examples, images=images)
    return World(examples, canaries.index, canaries.is_member)


def read_world(path: Path | str, folder: Path | str = prepared.FOLDER) -> World:
    """The examples of a variant, from the file of its canaries and the prepared folder."""
    return world(prepared.read(folder), read(path))


def files_digest(path: Path | str, folder: Path | str = prepared.FOLDER) -> str:
    """SHA-256 (hex) of what `read_world` reads; without canaries of the prepared files alone."""
    data_digest = prepared.files_digest(folder)
    return digest([data_digest, file_digest(path)]) if len(read(path).index) else data_digest
