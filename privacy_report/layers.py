"""Which file of conf/ sets a value, which file wins over it, and which names in conf/ do not exist."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hydra import initialize_config_dir
from hydra._internal.defaults_list import DefaultsList
from hydra.core.default_element import ResultDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from privacy_report.errors import UserError, one_line
from privacy_report.pipeline.params import refuse

NAME = r"[A-Za-z0-9_-]+"
CONFIG = "config.yaml"


class Said(NamedTuple):
    """A value and the file that says it."""

    value: Any
    file: Path


@contextmanager
def opened(conf: Path | str) -> Iterator[None]:
    """The block may use Hydra on folder `conf`; what it or YAML refuses is a UserError of one line."""
    try:
        with initialize_config_dir(str(Path(conf).resolve()), version_base=None):
            yield
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{conf}: {one_line(error)}") from None


def check_names(conf: Path | str, sections: Collection[str]) -> None:
    """Refuse a list of variants that dvc.yaml cannot read, and variants or sections that do not exist.

    sections: those that params.yaml has. UserError of one line that names the file.
    """
    conf = Path(conf)
    variants = _listed(conf)
    with opened(conf):
        files = _files()
    for item in files:
        values, file = _values(conf, item)
        if item.parent == "config" and item.config_path in {f"variant/{name}" for name in variants}:
            _check_package(file, item.package)
        if not item.package:
            _check_known(f"{file}: section", values, sections, _list(sections))
            allowed = f"the variants that {conf}/{CONFIG} lists: {_list(variants)}"
            _check_known(f"{file}: variants", _mapping(values, "variants"), variants, allowed)
        for name in _mapping(values, "variants"):
            if of := _mapping(values, f"variants.{name}").get("remedy_of"):
                allowed = f"the files of {conf}/variant: {_list(_there(conf))}"
                _check_known(f"{file}: remedy_of", [of], _there(conf), allowed)
        for section in ("gate", "reference"):
            key = f"{section}.per_variant"
            there = _there(conf)
            allowed = f"the files of {conf}/variant: {_list(there)}"
            _check_known(f"{file}: {key}", _mapping(values, key), there, allowed)


def _check_package(file: Path, package: str | None) -> None:
    """A variant's file has to say its own name: a copy with another's first line would overwrite it."""
    if package != f"variants.{file.stem}":
        raise refuse(f"{file}: @package", package, f"variants.{file.stem}, as in its first line")


def _check_known(key: str, names: Iterable[str], known: Collection[str], allowed: str) -> None:
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise refuse(key, name, allowed)


def shadowed(conf: Path | str) -> list[str]:
    """One line for each value of conf/ that another file wins over: experiments, overrides, config.yaml.

    A value that differs from that of the variant that it inherits from is not listed.
    """
    conf = Path(conf)
    with opened(conf):
        defaults = _composition()
        files = _files()
    lines = []
    for entry in _defaults(conf):
        for group, choice in entry.items() if isinstance(entry, dict) else ():
            if choice != (now := defaults.overrides.override_choices.get(group, choice)):
                winner = f"{conf}/{defaults.overrides.override_metadata[group].containing_config_path}.yaml"
                lines.append(f"{winner} wins: {group} {_text(now)} ({conf}/{CONFIG} says {_text(choice)})")
    layers: dict[str, dict[str, Any]] = {}
    for item in files:
        values, file = _values(Path(conf), item)
        key = item.package or str(file)  # those of one package inherit
        layers[key] = _laid(layers.get(key, {}), _tagged(values, file))
    top: dict[str, Any] = {}
    for layer in reversed(layers.values()):
        lines += _lost(top, layer)
        top = _laid(layer, top)
    return lines


def _listed(conf: Path) -> list[str]:
    """The variants' names in config.yaml, which dvc.yaml reads as defaults[1].variant."""
    file, entries = conf / CONFIG, _defaults(conf)
    second = entries[1] if len(entries) > 1 else None
    if not isinstance(second, dict) or list(second) != ["variant"]:
        where = "the list `variant` as the second entry, where dvc.yaml looks for it"
        raise refuse(f"{file}: defaults", second, where)
    names = second["variant"]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise refuse(f"{file}: variant", names, "a list of at least one name, such as [cnn2]")
    there = _there(conf)
    for name in names:
        if not re.fullmatch(NAME, name):
            raise refuse(f"{file}: variant", name, "letters, digits, _ and -")
        if names.count(name) > 1:
            raise refuse(f"{file}: variant", name, "each name once")
        if name not in there:
            raise refuse(f"{file}: variant", name, f"the files of {conf}/variant: {_list(there)}")
    return names


def _there(conf: Path) -> set[str]:
    """The variants that have a file."""
    return {path.stem for path in (conf / "variant").glob("*.yaml")}


def _defaults(conf: Path) -> list[Any]:
    """The list `defaults` of config.yaml."""
    file = conf / CONFIG
    try:
        config = yaml.safe_load(file.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{file}: no such file") from None
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not YAML ({one_line(error)})") from None
    entries = config.get("defaults") if isinstance(config, dict) else None
    if not isinstance(entries, list):
        raise refuse(f"{file}: defaults", entries, "a list")
    return entries


def _composition() -> DefaultsList:
    return GlobalHydra.instance().config_loader().compute_defaults_list("config", [], RunMode.RUN)


def _files() -> list[ResultDefault]:
    """The files that Hydra composes, in its order, without its own."""
    defaults = GlobalHydra.instance().config_loader().compute_defaults_list("config", [], RunMode.RUN)
    return [
        item
        for item in defaults.defaults
        if item.config_path and not (item.package or "").startswith("hydra")
    ]


def _values(conf: Path, item: ResultDefault) -> tuple[dict[str, Any], Path]:
    """What a file says, at the place where Hydra puts it."""
    file = conf / f"{item.config_path}.yaml"
    values: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    if not isinstance(values, dict):
        raise refuse(str(file), values, "a mapping")
    values.pop("defaults", None)
    for name in reversed(item.package.split(".") if item.package else []):
        values = {name: values}
    return values, file


def _mapping(values: Any, key: str) -> Mapping[str, Any]:
    """The mapping at a dotted key, empty where there is none."""
    for name in key.split("."):
        values = values.get(name) if isinstance(values, Mapping) else None
    return values if isinstance(values, Mapping) else {}


def _tagged(values: Mapping[str, Any], file: Path) -> dict[str, Any]:
    return {
        str(name): _tagged(value, file) if isinstance(value, Mapping) else Said(value, file)
        for name, value in values.items()
    }


def _laid(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    """Both, `upper` where they say the same key."""
    merged = dict(lower)
    for name, value in upper.items():
        old = lower.get(name)
        merged[name] = _laid(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return merged


def _lost(upper: dict[str, Any], lower: dict[str, Any], key: str = "") -> list[str]:
    """A line for each value of `lower` that `upper` has another one for."""
    lines = []
    for name in (name for name in lower if name in upper):
        here, new, old = f"{key}{name}", upper[name], lower[name]
        if isinstance(new, dict) and isinstance(old, dict):
            lines += _lost(new, old, f"{here}.")
        elif (now := _plain(new)) != (before := _plain(old)):
            said = f"{_file(old)} says {_text(before)}"
            lines.append(f"{_file(new)} wins: {here} {_text(now)} ({said})")
    return lines


def _plain(tagged: Any) -> Any:
    return (
        {name: _plain(value) for name, value in tagged.items()} if isinstance(tagged, dict) else tagged.value
    )


def _file(tagged: Any) -> Path | None:
    """The first file that says any of the values."""
    if isinstance(tagged, Said):
        return tagged.file
    return next((file for value in tagged.values() if (file := _file(value))), None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
