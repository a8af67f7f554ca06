"""How large the store may grow: a file in the store itself."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from privacy_report.errors import UserError
from privacy_report.pipeline import store
from privacy_report.pipeline.files import read_json, write_json

FILE = "policy.json"


@dataclass(frozen=True)
class Policy:
    """limit_mb: the size in megabytes that a finished stage prunes the store to."""

    limit_mb: float = 50_000.0

    def __post_init__(self) -> None:
        if not 0 <= self.limit_mb < math.inf:
            raise UserError(f"limit-mb: got {self.limit_mb}, allowed: a finite number of at least 0")


def read_policy() -> Policy:
    """The store's policy; the default where none was set. UserError where its file is no policy."""
    path = store.root() / FILE
    try:
        return Policy(**read_json(path))
    except FileNotFoundError:
        return Policy()
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: no policy of the store ({error}); delete it") from None


def write_policy(policy: Policy) -> None:
    """Set the store's policy, for all runs that end after now."""
    write_json(store.root() / FILE, asdict(policy))
