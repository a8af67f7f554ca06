"""Read a stage's own section of params.yaml, checked against the stage's schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from privacy_report.errors import UserError, one_line, one_of, refuse

__all__ = ["check", "known", "load", "one_of", "refuse"]

Schema = TypeVar("Schema")


def check(section: str, values: Any, schema: type[Schema]) -> Schema:
    """An instance of the dataclass `schema` from plain `values`, named `section` in error messages.

    The schema's types hold (an unknown key or an ill-typed value is refused), and so does whatever
    its `__post_init__` refuses with `refuse`. Raises UserError of one line that names the key.
    """
    if not isinstance(values, dict):
        raise UserError(f"{section}: must be a mapping with keys {known(schema)}, got {values!r}")
    try:
        instance = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), values))
    except UserError as error:
        raise UserError(f"{section}.{error}") from None
    except OmegaConfBaseException as error:
        key = ".".join(filter(None, [section, error.full_key]))
        raise UserError(f"{key}: {_one_line(error, schema)}") from None
    return instance  # type: ignore[return-value]


def load(section: str, schema: type[Schema], path: Path | str = "params.yaml") -> Schema:
    """Section `section` (dots allowed) of params.yaml as an instance of `schema`.

    A stage loads the sections that dvc.yaml declares for it and no others, since DVC cannot see a
    read that was not declared.
    """
    return check(section, _read(section, path), schema)


def load_each(section: str, schema: type[Schema], path: Path | str = "params.yaml") -> dict[str, Schema]:
    """Name -> what `load` gives of it, for each name under `section` of params.yaml."""
    mapping = _read(section, path)
    if not isinstance(mapping, dict):
        raise UserError(f"{section}: must be a mapping of names, got {mapping!r}")
    return {name: check(f"{section}.{name}", values, schema) for name, values in mapping.items()}


def _read(section: str, path: Path | str) -> Any:
    """What params.yaml says under `section`."""
    try:
        node: Any = yaml.safe_load(Path(path).read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `python -m stages.compose` writes it from conf/") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({one_line(error)})") from None
    walked: list[str] = []
    for key in section.split("."):
        if not isinstance(node, dict) or key not in node:
            have = sorted(node) if isinstance(node, dict) else []
            where = ".".join(walked) or str(path)
            raise UserError(f"{where}: unknown name {key!r}, allowed: {', '.join(map(str, have)) or 'none'}")
        node = node[key]
        walked.append(key)
    return node


def known(schema: type) -> str:
    """The schema's keys, for messages."""
    return ", ".join(getattr(schema, "__dataclass_fields__", {}))


def _one_line(error: OmegaConfBaseException, schema: type) -> str:
    """OmegaConf's first line, in words of ours where it is about an unknown or a missing key."""
    text = str(error).splitlines()[0]
    if re.search(r"not in '\w+'", text):
        owner = error.object_type if isinstance(error.object_type, type) else schema
        return f"unknown key, allowed: {known(owner)}"
    if "missing mandatory value" in text.lower():
        return "missing, and it has no default"
    return text[:1].lower() + text[1:]
