"""Stage compose: conf/ -> params.yaml, checked.

`dvc repro` does not compose Hydra configurations, only `dvc exp run` does; this stage makes an edit of
conf/ arrive in params.yaml, in the very bytes that DVC's own composition writes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from privacy_report.composition import changes, check_params, composed, needs, write_overrides
from privacy_report.layers import shadowed
from privacy_report.pipeline import leftovers
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import atomic
from privacy_report.pipeline.recorded import checked

PARAMS = Path("params.yaml")


def main(argv: Sequence[str]) -> None:
    argparse.ArgumentParser(
        prog="python -m stages.compose",
        description="Compose conf/ into params.yaml and check every value. Inside `dvc exp run`, which has "
        "composed params.yaml itself (-S overrides included), params.yaml is checked, and what -S has set is "
        "written to conf/overrides.yaml, so that both agree.",
    ).parse_args(argv)
    before = _read(PARAMS)
    if os.environ.get("DVC_EXP_NAME") and before is not None:
        check_params(before)
        for line in write_overrides("conf", before):
            print(f"conf/overrides.yaml: {line}")
        _clear(before)
        print(needs(before))
        return
    text = composed("conf")
    after = yaml.safe_load(text)
    for line in shadowed("conf"):
        print(line, flush=True)
    check_params(after)
    if before is not None:
        for line in changes(before, after):
            print(f"params.yaml: {line}")
    with atomic(PARAMS) as file:
        file.write(text.encode())
    _clear(after)
    print(needs(after))


def _clear(params: Any) -> None:
    """Delete what removed variants left, before a stage reads the folders that it is in."""
    for path in leftovers.remove(params["variants"]):
        print(f"{path}: deleted, it belongs to no variant")


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_bytes())
    except FileNotFoundError:
        return None
    except yaml.YAMLError:
        print(f"{path}: was not YAML, written again")
        return None


if __name__ == "__main__":
    run(checked(main))
