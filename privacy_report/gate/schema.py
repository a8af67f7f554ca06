"""The `gate` section of params.yaml: one optional limit a rule, null for no such rule."""

from __future__ import annotations

from dataclasses import make_dataclass

from privacy_report.gate.rules import RULES
from privacy_report.pipeline.params import refuse


class _Limits:
    """What the limits of all rules have in common."""

    def __post_init__(self) -> None:
        for name, limit in self.limits.items():
            rule = RULES[name]
            allowed = f"a number of at least {rule.lowest:g}"
            if rule.highest is not None:
                allowed = f"a number from {rule.lowest:g} to {rule.highest:g}"
            if not (rule.lowest <= limit and (rule.highest is None or limit <= rule.highest)):  # nor NaN
                raise refuse(name, limit, f"{allowed}, or null for no such rule")

    @property
    def limits(self) -> dict[str, float]:
        """The rules that are set, in the order of `RULES`."""
        values = {name: getattr(self, name) for name in RULES}
        return {name: float(limit) for name, limit in values.items() if limit is not None}


GateParams = make_dataclass("GateParams", [(name, float | None, None) for name in RULES], bases=(_Limits,))
"""A field for each rule in `RULES`."""
