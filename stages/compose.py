"""Stage compose: conf/ -> params.yaml, checked.

`dvc repro` does not compose Hydra configurations, only `dvc exp run` does; this stage makes an edit of
conf/ arrive in params.yaml, in the very bytes that DVC's own composition writes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from privacy_report.attack.schema import Attack
from privacy_report.datasets.schema import Dataset
from privacy_report.errors import UserError
from privacy_report.gate.schema import Gate
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import atomic
from privacy_report.pipeline.params import check, refuse
from privacy_report.report.schema import Report
from privacy_report.training.schema import Variant

PARAMS = Path("params.yaml")
SECTIONS = {"dataset": Dataset, "attack": Attack, "gate": Gate, "report": Report}


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.compose",
        description="Compose conf/ into params.yaml and check every value. Inside `dvc exp run`, which has "
        "composed params.yaml itself (-S overrides included), params.yaml is only checked.",
    )
    parser.add_argument("overrides", nargs="*", help="Hydra overrides, such as dataset=digits")
    overrides = parser.parse_args(argv).overrides
    before = _read(PARAMS)
    if os.environ.get("DVC_EXP_NAME") and before is not None:
        check_params(before)
        return
    text = composed("conf", overrides)
    after = yaml.safe_load(text)
    check_params(after)
    if before is not None:
        for line in differences(before, after):
            print(f"params.yaml: {line}")
    with atomic(PARAMS) as file:
        file.write(text.encode())


def composed(conf: Path | str, overrides: Sequence[str] = ()) -> str:
    """The text of params.yaml for the configuration in folder `conf`. UserError when Hydra refuses it."""
    try:
        with initialize_config_dir(str(Path(conf).resolve()), version_base=None):
            config = compose("config", list(overrides))
        OmegaConf.resolve(config)
        return OmegaConf.to_yaml(config)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise UserError(f"{conf}: {' '.join(str(error).split())}") from None


def check_params(params: Any) -> None:
    """Check all sections against the stages' schemas. UserError of one line that names the key."""
    allowed = [*SECTIONS, "variants"]
    if not isinstance(params, Mapping) or set(params) != set(allowed):
        got = sorted(map(str, params)) if isinstance(params, Mapping) else params
        raise UserError(f"params.yaml: got the sections {got}, allowed: {sorted(allowed)}")
    sections = {name: check(name, params[name], schema) for name, schema in SECTIONS.items()}
    attack: Attack = sections["attack"]
    if not isinstance(params["variants"], Mapping) or not params["variants"]:
        raise UserError(f"variants: got {params['variants']!r}, allowed: a mapping of at least one variant")
    for name, values in params["variants"].items():
        variant = check(f"variants.{name}", values, Variant)
        if variant.privacy and variant.privacy.delta > attack.delta:
            least = f"at least variants.{name}.privacy.delta, {variant.privacy.delta}, to audit its claim"
            raise refuse("attack.delta", attack.delta, least)
    _check_names(list(params["variants"]))


def _check_names(names: Sequence[str]) -> None:
    """dvc.yaml and conf/ must name the same variants, or a stage would be missing or unused."""
    path = Path("dvc.yaml")
    if not path.exists():
        return
    graph = yaml.safe_load(path.read_text())
    listed = {name for item in graph["vars"] for name in item.get("variant_names", [])}
    if listed != set(names):
        raise UserError(
            f"variants: conf/config.yaml has {sorted(names)}, variant_names in dvc.yaml has "
            f"{sorted(listed)}; name the same in both"
        )
    inputs = [f"data/{path}" for name in names for path in (f"attack/{name}", f"train/{name}/history.csv")]
    for stage in ("gate", "report"):
        for missing in (path for path in inputs if path not in graph["stages"][stage]["deps"]):
            raise UserError(f"variants: dvc.yaml lacks {missing} among the deps of {stage}")


def differences(before: Any, after: Any, key: str = "") -> list[str]:
    """Lines `key: old -> new` for all leaves in which two nested mappings differ."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return [] if before == after else [f"{key}: {before!r} -> {after!r}"]
    lines = []
    for name in [*before, *(name for name in after if name not in before)]:
        inner = f"{key}.{name}" if key else str(name)
        lines += differences(before.get(name, "(absent)"), after.get(name, "(absent)"), inner)
    return lines


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return None
    except yaml.YAMLError:
        print(f"{path}: was not YAML, written anew")
        return None


if __name__ == "__main__":
    run(main)
