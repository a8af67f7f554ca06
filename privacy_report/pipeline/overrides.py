"""What an experiment left in conf/overrides.yaml, said where it makes a later run fail."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

FILE = Path("conf/overrides.yaml")


def blamed(message: str) -> str:
    """The values of conf/overrides.yaml that an error names, and how to take them back; "" for none.

    An error names a key, the last part of a variant's key, or a text that is the value.
    """
    try:
        values = yaml.safe_load(FILE.read_bytes())
    except (OSError, yaml.YAMLError):
        return ""
    named = [f"{key} {value}" for key, value in _leaves(values) if _names(message, key, value)]
    if not named:
        return ""
    return f"; an experiment set {', '.join(named)} in {FILE}: delete it there to take it back"


def _leaves(values: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(values, Mapping):
        yield key, values
        return
    for name, value in values.items():
        yield from _leaves(value, f"{key}.{name}" if key else str(name))


def _names(message: str, key: str, value: Any) -> bool:
    said = {key}
    if key.startswith("variants."):
        said |= {key.split(".", 2)[-1], key.rsplit(".", 1)[-1]}
    if any(re.search(rf"(?<![\w.]){re.escape(name)}: ", message) for name in said):
        return True
    return isinstance(value, str) and len(value) > 3 and value in message
