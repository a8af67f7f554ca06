"""What a user chooses by its import path: a model, an optimizer, a schedule, a loss."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass, field
from typing import Any, NoReturn

from omegaconf import MISSING

from privacy_report.errors import UserError, refuse, type_and_text


@dataclass
class Component:
    """A function or class: its import path, and the keyword arguments that it is called with."""

    path: str = MISSING
    settings: dict[str, Any] = field(default_factory=dict)

    def check(self, key: str) -> None:
        """Refuse what is no import path; `key` is the component's own among the parameters."""
        if "." not in self.path.strip("."):
            raise refuse(f"{key}.path", self.path, "an import path such as nets.residual.residual_network")


def make(key: str, component: Component, *given: Any, **more: Any) -> Any:
    """What the component gives for `given`, its settings, and `more` where it takes that and it is not set.

    Raises UserError of one line that begins with `key`, a key of the parameters, for a component that cannot
    be imported, a setting that is unknown or missing, and whatever is raised inside.
    """
    callee = imported(key, component.path)
    settings = dict(component.settings)
    try:
        parameters = inspect.signature(callee).parameters
    except (TypeError, ValueError):
        raise UserError(f"{key}.path: {component.path} is no function or class with a signature") from None
    settings = {name: value for name, value in more.items() if name in parameters} | settings
    _check(key, component.path, parameters, len(given), settings)
    try:
        return callee(*given, **settings)
    except UserError as error:
        raise UserError(f"{key}.settings: {error}") from None
    except Exception as error:  # whatever a user's own code raises
        _raised(f"{key}.path: {component.path} raises", error)


def imported(key: str, path: str) -> Any:
    """What an import path stands for. UserError where there is no such thing, or importing it fails."""
    module, _, name = path.rpartition(".")
    try:
        attribute = getattr(importlib.import_module(module), name, None)
    except Exception as error:
        _raised(f"{key}.path: cannot import {path}:", error)
    if attribute is None:
        raise UserError(f"{key}.path: {module} has no {name!r}")
    return attribute


def _check(key: str, path: str, parameters: Any, given: int, settings: dict[str, Any]) -> None:
    """Refuse settings that the signature does not take, and those that it needs."""
    kinds = inspect.Parameter
    positional = [
        param
        for param in parameters.values()
        if param.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    ]
    takes_all = any(param.kind == kinds.VAR_POSITIONAL for param in parameters.values())
    if len(positional) < given and not takes_all:
        takes = ", ".join(parameters) or "nothing"
        raise UserError(f"{key}.path: {path} must take {given} positional arguments, it takes {takes}")
    named = {name: param for name, param in parameters.items() if param not in positional[:given]}
    open_ended = any(param.kind == kinds.VAR_KEYWORD for param in named.values())
    named = {
        name: param
        for name, param in named.items()
        if param.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
    }
    if not open_ended and (unknown := [name for name in settings if name not in named]):
        raise refuse(f"{key}.settings", unknown[0], ", ".join(named) or "none")
    lacking = [name for name, param in named.items() if param.default is param.empty and name not in settings]
    if lacking:
        raise UserError(f"{key}.settings: {lacking[0]} is missing, and {path} has no default for it")


def _raised(what: str, error: Exception) -> NoReturn:
    reason = type_and_text(error)
    raise UserError(f"{what} {reason[:300]}") from None
