"""Examples that are on both sides, which void an audit: nobody can tell a member from its equal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from privacy_report.datasets.splits import Membership
from privacy_report.pipeline.blocks import blocks


def count(features: np.ndarray, membership: Membership) -> int:
    """How many non-members have the very features of a member; (n, ...), compared byte for byte."""
    members = set(_digests(features, membership.member))
    return sum(digest in members for digest in _digests(features, membership.nonmember))


def _digests(features: np.ndarray, rows: np.ndarray) -> Iterator[bytes]:
    """The digests of some rows, ascending, read a block at a time."""
    for span, block in blocks(features):
        first, last = np.searchsorted(rows, (span.start, span.stop))
        yield from (_digest(block[row - span.start]) for row in rows[first:last])


def _digest(row: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16).digest()
