"""The `gate` section of params.yaml: one optional limit a rule.

The rules carry the names of the columns they judge (`max_tpr_at_fpr_0.01`). A dot cannot stand in a
class statement, so the schema's fields are made from the table `RULES` instead of being spelled out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from privacy_report.pipeline.params import refuse

# rule -> (lowest, highest) limit that is not a contradiction in itself; None is unbounded
RULES: dict[str, tuple[float, float | None]] = {
    "max_advantage": (0.0, 1.0),
    "max_tpr_at_fpr_0.01": (0.0, 1.0),
    "max_class_advantage": (0.0, 1.0),
    "max_epsilon": (0.0, None),
    "min_val_accuracy": (0.0, 1.0),
}


class _Limits:
    """`limits`: the rules that are set, in the order of `RULES`; a rule left null is not applied."""

    def __init__(self, **limits: float | None) -> None:
        for rule, limit in limits.items():
            if limit is not None:
                _check(rule, limit)
        self.limits: dict[str, float] = {
            rule: float(limit) for rule in RULES if (limit := limits.get(rule)) is not None
        }


def _check(rule: str, limit: float) -> None:
    low, high = RULES[rule]
    allowed = f"a number of at least {low:g}" if high is None else f"a number from {low:g} to {high:g}"
    if not (low <= limit and (high is None or limit <= high)):  # also refuses NaN
        raise refuse(rule, limit, f"{allowed}, or null for no such rule")


_Limits.__annotations__ = dict.fromkeys(RULES, float | None)
for _rule in RULES:
    setattr(_Limits, _rule, None)

# eq and repr would spell the field names out as Python identifiers
Gate: Any = dataclass(init=False, eq=False, repr=False)(_Limits)
Gate.__name__ = Gate.__qualname__ = "Gate"
