"""Compose conf/ into the text of params.yaml, and check it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import yaml
from hydra import compose
from omegaconf import OmegaConf

from privacy_report.attack.schema import COLUMNS, AttackParams
from privacy_report.datasets.schema import DatasetParams
from privacy_report.errors import UserError
from privacy_report.gate.schema import GateParams, nonmembers_needed
from privacy_report.layers import NAME, check_names, opened
from privacy_report.pipeline.contract import CLASS
from privacy_report.pipeline.files import atomic
from privacy_report.pipeline.params import check, refuse
from privacy_report.report.schema import ReportParams
from privacy_report.training.memberships import ReferenceParams
from privacy_report.training.schema import BackendParams, Variant

SECTIONS: dict[str, type] = {
    "dataset": DatasetParams,
    "attack": AttackParams,
    "gate": GateParams,
    "reference": ReferenceParams,
    "report": ReportParams,
    "backend": BackendParams,
}
ALL = sorted([*SECTIONS, "variants"])
OVERRIDES = "overrides.yaml"
N_CLASSES = {"cifar10": 10, "digits": 10}
"""Of datasets whose number of classes is known before anything is read."""


def composed(conf: Path | str) -> str:
    """The text of params.yaml for the configuration in folder `conf`. UserError when Hydra refuses it."""
    check_names(conf, ALL)
    with opened(conf):
        config = compose("config")
        OmegaConf.resolve(config)
        return OmegaConf.to_yaml(config)


def check_params(params: Any) -> None:
    """Check all sections against their schemas. UserError of one line that names the key."""
    if not isinstance(params, Mapping) or set(params) != set(ALL):
        got = sorted(map(str, params)) if isinstance(params, Mapping) else params
        raise UserError(f"params.yaml: got the sections {got}, allowed: {ALL}")
    sections: dict[str, Any] = {name: check(name, params[name], schema) for name, schema in SECTIONS.items()}
    attack: AttackParams = sections["attack"]
    _check_classes(sections["gate"], attack, sections["dataset"].name)
    if attack.groups == COLUMNS and not sections["dataset"].groups:
        raise refuse("attack.groups", COLUMNS, "null or a file, since dataset.groups names no columns")
    if not isinstance(params["variants"], Mapping) or not params["variants"]:
        raise UserError(f"variants: got {params['variants']!r}, allowed: a mapping of at least one variant")
    variants: dict[str, Variant] = {}
    for name, values in params["variants"].items():
        if not re.fullmatch(NAME, str(name)):
            raise UserError(f"variants: got the name {name!r}, allowed: letters, digits, _ and -")
        variant = variants[str(name)] = check(f"variants.{name}", values, Variant)
        if variant.privacy and variant.privacy.delta > attack.delta:
            most = f"at most attack.delta, {attack.delta}, at which its claim is audited, and 0.5/n_member"
            raise refuse(f"variants.{name}.privacy.delta", variant.privacy.delta, most)
        if variant.privacy and sections["dataset"].fitted_on_members:
            raise UserError(
                f"variants.{name}.privacy: void on a table that is scaled by its members, allowed: "
                "dataset.fit_split (a public split), or dataset.scales and dataset.categories for all columns"
            )
    _check_repeats(variants, sections["reference"])
    _check_remedies(variants)


def _check_remedies(variants: Mapping[str, Variant]) -> None:
    """Refuse a remedy of a repeat or of an audit twin: nothing is compared with these."""
    for name, variant in variants.items():
        of = variants.get(str(variant.remedy_of))
        if of and (of.repeats or of.canaries):
            those = ", ".join(
                other for other, that in variants.items() if not (that.repeats or that.canaries)
            )
            raise refuse(f"variants.{name}.remedy_of", variant.remedy_of, f"one of {those}")


def _check_repeats(variants: Mapping[str, Variant], reference: ReferenceParams) -> None:
    """Refuse a repeat that differs from its variant in more than label and seed.

    Both need the same number of references: more of them find more, and the runs are compared.
    """
    for name, variant in ((name, variant) for name, variant in variants.items() if variant.repeats):
        key, first = f"variants.{name}.repeats", variants.get(str(variant.repeats))
        if first is None or first.repeats:
            those = ", ".join(other for other, that in variants.items() if not that.repeats)
            raise refuse(key, variant.repeats, f"a variant of the study that repeats no other: {those}")
        again = replace(variant, label=first.label, seed=first.seed, repeats=None)
        for field in fields(variant):
            if getattr(again, field.name) != getattr(first, field.name):
                raise refuse(key, variant.repeats, f"a variant with the same {field.name}: only seeds differ")
        models = reference.models_of(str(variant.repeats))
        if reference.models_of(name) != models:
            raise refuse(
                f"reference.per_variant.{name}",
                reference.models_of(name),
                f"{models}, as for {variant.repeats}",
            )
        if variant.seed == first.seed:
            raise refuse(
                f"variants.{name}.seed", variant.seed, f"another seed than that of {variant.repeats}"
            )


def _check_classes(gate: GateParams, attack: AttackParams, dataset: str) -> None:
    """Refuse limits of classes that no attack is made on, or that the dataset does not have."""
    n = N_CLASSES.get(dataset)
    for name in gate.per_slice:
        if "class" not in attack.slices:
            raise refuse("gate.per_slice", name, "none, unless attack.slices has class")
        if n is not None and int(name.removeprefix(CLASS)) >= n:
            raise refuse("gate.per_slice", name, f"{CLASS}0 to {CLASS}{n - 1}, the classes of {dataset}")


def needs(params: Mapping[str, Any]) -> str:
    """How many non-members the policy needs to be judged and kept: one line, to be said before training."""
    gate = check("gate", params["gate"], GateParams)
    needed: dict[str, list[int | None]] = {}
    for variant in params["variants"]:
        for rule, n in nonmembers_needed(gate.policy(variant)).items():
            needed.setdefault(rule, []).append(n)
    said = ", ".join(f"{_most(rule, numbers)} for {rule}" for rule, numbers in needed.items())
    return f"gate: non-members that the policy needs in each half: {said or 'any number'}"


def _most(rule: str, numbers: Sequence[int | None]) -> str:
    if None in numbers:
        return "no number is enough"
    of = {
        "max_class_advantage": " of each class",
        "max_canary_tpr_at_1pct_fpr": " canaries that are out, in all,",
    }
    return f"{max(n for n in numbers if n is not None)}{of.get(rule, '')}"


def differences(before: Any, after: Any, key: str = "") -> list[str]:
    """Lines `key: old -> new` for all leaves in which two nested mappings differ."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return [] if before == after else [f"{key}: {before!r} -> {after!r}"]
    lines = []
    for name in [*before, *(name for name in after if name not in before)]:
        inner = f"{key}.{name}" if key else str(name)
        lines += differences(before.get(name, "(absent)"), after.get(name, "(absent)"), inner)
    return lines


def changes(before: Any, after: Any) -> list[str]:
    """The `differences` of two params.yaml; a variant that is new or gone is one line."""
    if not all(
        isinstance(params, Mapping) and isinstance(params.get("variants"), Mapping)
        for params in (before, after)
    ):
        return differences(before, after)
    old, new = before["variants"], after["variants"]
    lines = [f"variants.{name}: new, conf/variant/{name}.yaml" for name in new if name not in old]
    lines += [f"variants.{name}: gone" for name in old if name not in new]
    kept = [name for name in old if name in new]
    before, after = (
        {**params, "variants": {name: params["variants"][name] for name in kept}}
        for params in (before, after)
    )
    return lines + differences(before, after)


def write_overrides(conf: Path | str, params: Mapping[str, Any]) -> list[str]:
    """Write into conf/overrides.yaml what `params` has and conf/ does not; those lines, `key: old -> new`.

    An experiment sets values on the command line (`-S`). In conf/ they are part of its commit, so that conf/
    composes `params` from then on. UserError where that cannot be, since a key is not there any
    more; then the file stays as it was.
    """
    before = yaml.safe_load(composed(conf))
    if not (lines := differences(before, params)):
        return []
    path = Path(conf, OVERRIDES)
    text = path.read_text(encoding="utf-8")
    comments = [line for line in text.splitlines() if line.startswith("#")]
    values = OmegaConf.merge(OmegaConf.create(text), _changed(before, params))
    _write(path, "\n".join(comments) + "\n" + OmegaConf.to_yaml(values))
    try:
        if left := differences(yaml.safe_load(composed(conf)), params):
            raise UserError(f"{path}: cannot say {left[0]}; edit conf/ instead of setting it with -S")
    except BaseException:
        _write(path, text)
        raise
    return lines


def _write(path: Path, text: str) -> None:
    with atomic(path) as file:
        file.write(text.encode())


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The nested values of `after` that are new or other than in `before`."""
    changed = {}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            if inner := _changed(old, value):
                changed[name] = inner
        elif name not in before or value != old:
            changed[name] = value
    return changed
