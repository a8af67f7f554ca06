"""A trained attacker's classifier, as the parameters name it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from privacy_report.errors import refuse


@dataclass
class Estimator:
    """A scikit-learn classifier: its import path and the keyword arguments of its constructor."""

    path: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "." not in self.path.strip("."):
            raise refuse("path", self.path, "an import path such as sklearn.linear_model.LogisticRegression")
