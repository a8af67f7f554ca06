"""Functions that are chosen by name: the name says where the code is, for the memo as for the import."""

from __future__ import annotations

import importlib
from typing import Any


def function(dotted: str) -> Any:
    """What a dotted name of this package's stands for."""
    module, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(module), name)
