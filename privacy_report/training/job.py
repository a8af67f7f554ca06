"""One model to train, and its examples: all that `target` and `reference` are told."""

from __future__ import annotations

from dataclasses import dataclass

from privacy_report.datasets import canaries, prepared
from privacy_report.datasets.canaries import World
from privacy_report.errors import UserError
from privacy_report.training.schema import Variant


@dataclass(frozen=True)
class Source:
    """Where the examples are on a disk that workers may share, and the digest of what is there.

    folder: the prepared one; canaries: the variant's file of them.
    """

    folder: str
    canaries: str
    digest: str

    def found(self) -> bool:
        """Whether this process has the examples, in memory or in its own folder."""
        try:
            return self.digest in _held or self._digest_now() == self.digest
        except (UserError, OSError):
            return False

    def read(self) -> World:
        """The examples, without what is not in the digest. UserError where they are others by now."""
        if self.digest not in _held:
            if self._digest_now() != self.digest:
                raise UserError(f"{self.folder}: other examples than when this run started, run again")
            examples = prepared.read(self.folder).with_n_classes_alone()
            hold(self.digest, canaries.world(examples, canaries.read(self.canaries)))
        return _held[self.digest]

    def _digest_now(self) -> str:
        return canaries.files_digest(self.canaries, self.folder)


_held: dict[str, World] = {}
"""Digest -> examples that this process has read, or was sent; those of an audit twin have its canaries."""
HELD = 2


def hold(digest: str, world: World) -> None:
    """Keep examples for this process's jobs."""
    while len(_held) >= HELD:
        del _held[next(iter(_held))]  # the oldest
    _held[digest] = world


@dataclass(frozen=True)
class Job:
    """One model to train.

    name: all of its randomness derives from it and the seed; config: see `plan.essential`; regime: the dotted
    name of the way of training (`regime.Regime`).
    """

    name: str
    config: Variant
    regime: str
    source: Source


NOWHERE = Source("", "", "")
"""Of a job whose examples are given otherwise."""
