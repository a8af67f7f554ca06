"""What the store keeps of finished training, and how large it may grow: a file in the store itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from privacy_report.errors import UserError
from privacy_report.pipeline import store
from privacy_report.pipeline.files import read_json, write_json

FILE = "policy.json"
KEEPS = ("all", "checkpoints", "last")


@dataclass(frozen=True)
class Policy:
    """keep: the states of all epochs; of the checkpoints (and, while a run goes on, of the last epoch); or,
    once a run is complete, of its last epoch alone. limit_mb: the size that a finished stage prunes to.
    """

    keep: str = "all"
    limit_mb: float = 50_000.0

    def __post_init__(self) -> None:
        if self.keep not in KEEPS:
            raise UserError(f"keep: got {self.keep!r}, allowed: {', '.join(KEEPS)}")
        if not self.limit_mb >= 0:
            raise UserError(f"limit-mb: got {self.limit_mb}, allowed: a number of at least 0")


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
