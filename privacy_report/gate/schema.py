"""The `gate` section of params.yaml: one optional limit a rule, null for no such rule."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from privacy_report.gate.rules import BY_SLICE, MAJORITY, RULES
from privacy_report.pipeline.contract import CLASS, LEVEL, RELEASES
from privacy_report.pipeline.params import one_of, refuse

LEAKAGE = tuple(name for name in RULES if name.startswith("max_"))
"""Rules that bound what is given away. A policy without any of them is none."""

TPR_NEEDS = 500
"""Non-members, or canaries that are out, at which a TPR at 1% FPR is measured."""

NAMED_NEEDS = 10
"""The limit times one more than the non-members that calibrate (half of a half), from which on it is seen."""

Limit = float | str


@dataclass(frozen=True)
class Policy:
    """What one variant has to keep: rule -> limit; of single slices, slice -> rule -> limit.

    allow_committed_seed: whether an epsilon counts whose noise anybody can compute from the repository;
    released: what the service returns (of `contract.RELEASES`): attackers who see more do not count.
    """

    limits: Mapping[str, Limit] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    allow_committed_seed: bool = False
    released: str | None = None


@dataclass
class GateParams:
    """A limit for each rule in `RULES`, null for no such rule; limits that differ by variant or class.

    allow_committed_seed, released: what counts, see `Policy`.
    """

    max_advantage: Any = None
    max_tpr_at_1pct_fpr: Any = None
    max_class_advantage: Any = None
    max_canary_tpr_at_1pct_fpr: Any = None
    max_named_at_10pct_fdr: Any = None
    max_exposed_beyond_noise: Any = None
    max_epsilon: Any = None
    min_reference_models: Any = None
    min_val_accuracy: Any = MAJORITY
    allow_committed_seed: bool = False
    released: Optional[str] = None  # noqa: UP045 - OmegaConf reads this form
    per_variant: dict[str, Any] = field(default_factory=dict)
    per_slice: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check("", {name: getattr(self, name) for name in RULES})
        for variant, limits in self.per_variant.items():
            self._check(f"per_variant.{variant}.", _mapping(f"per_variant.{variant}", limits))
        for name, limits in self.per_slice.items():
            key = f"per_slice.{name}"
            if not re.fullmatch(rf"{CLASS}(0|[1-9]\d*)", name):
                raise refuse("per_slice", name, "classes by number, such as class=3")
            for rule in (limits := _mapping(key, limits)):
                one_of(key, rule, BY_SLICE)
            self._check(f"{key}.", limits)
        if self.released is not None:
            one_of("released", self.released, RELEASES)
        for variant in ("", *self.per_variant):
            if not set(self.policy(variant).limits) & set(LEAKAGE):
                key = f"per_variant.{variant}" if variant else "max_advantage"
                raise refuse(key, None, f"at least one limit among {', '.join(LEAKAGE)}; there is no policy")

    def _check(self, prefix: str, limits: Mapping[str, Any]) -> None:
        for name, limit in limits.items():
            one_of(prefix.rstrip(".") or "gate", name, RULES)
            rule, key = RULES[name], prefix + name
            if limit is None or (name == "min_val_accuracy" and limit == MAJORITY):
                continue
            allowed = "a number of at least 0"
            if rule.highest is not None:
                allowed = f"a number from 0 to {rule.highest:g}"
            if name == "min_val_accuracy":
                allowed += f", {MAJORITY}"
            number = isinstance(limit, int | float) and not isinstance(limit, bool)
            if not (number and limit >= 0 and (rule.highest is None or limit <= rule.highest)):
                raise refuse(key, limit, f"{allowed}, or null for no such rule")  # NaN, too

    def policy(self, variant: str) -> Policy:
        """What a variant has to keep, rules in the order of `RULES`."""
        own = self.per_variant.get(variant, {})
        values = {name: own.get(name, getattr(self, name)) for name in RULES}
        limits = {
            name: limit if limit == MAJORITY else float(limit)
            for name, limit in values.items()
            if limit is not None
        }
        slices = {
            name: {rule: float(limit) for rule, limit in of.items() if limit is not None}
            for name, of in self.per_slice.items()
        }
        return Policy(limits, slices, self.allow_committed_seed, self.released)


def nonmembers_needed(policy: Policy) -> dict[str, int | None]:
    """Rule -> how many non-members it needs in each half to be kept at all; None where no number is enough.

    For max_class_advantage they are of each class, for max_canary_tpr_at_1pct_fpr canaries that are out. Of
    an advantage it is where the upper end of an advantage of 0 reaches the limit (Hoeffding), however many
    the members; of a TPR at 1% FPR where five false positives are expected (`attack.intervals`); of a share
    of members that can be named where its floor is that share of many members (`attack.names.floor`). Of a
    count of those it depends on the number of members.
    """
    needed: dict[str, int | None] = {}
    for rule, limit in policy.limits.items():
        if rule.endswith("advantage"):
            assert isinstance(limit, float)
            needed[rule] = math.ceil(math.log(2 / LEVEL) / 2 / limit**2 - 1e-9) if limit else None
        elif rule.endswith("tpr_at_1pct_fpr"):
            needed[rule] = TPR_NEEDS
        elif rule == "max_named_at_10pct_fdr" and float(limit) < 1:
            needed[rule] = 2 * math.ceil(NAMED_NEEDS / float(limit) - 1e-9) - 3 if limit else None
    return needed


def _mapping(key: str, limits: Any) -> dict[str, Any]:
    if not isinstance(limits, dict):
        raise refuse(key, limits, f"a mapping from rules to limits, rules being {', '.join(RULES)}")
    return limits
