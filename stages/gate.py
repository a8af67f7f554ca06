"""Gate stage: data/attack/*/halves.csv and the policy -> metrics/gate.json."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from privacy_report.errors import UserError
from privacy_report.gate.inputs import read_epsilon, read_halves, variant_names
from privacy_report.gate.policy import decide
from privacy_report.gate.schema import Gate
from privacy_report.pipeline import store
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import read_json, write_json
from privacy_report.pipeline.params import load

VERDICTS = Path("metrics/gate.json")


def main(argv: Sequence[str]) -> None:
    """Write the verdicts, or, with --check, turn the written ones into an exit code."""
    parser = argparse.ArgumentParser(prog="python -m stages.gate", description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "--check", action="store_true", help="only read metrics/gate.json; exit 1 on a failing variant"
    )
    if parser.parse_args(argv).check:
        check()
        return
    limits = load("gate", Gate).limits
    with store.timed("gate"):
        verdicts = {
            variant: decide(variant, read_halves(variant), limits, read_epsilon(variant))
            for variant in variant_names()
        }
    policy = [{"rule": rule, "limit": limit} for rule, limit in limits.items()]
    write_json(VERDICTS, {"policy": policy, "variants": verdicts})


def check() -> None:
    """Print one line a variant; exit with 1 when one has no checkpoint that passes."""
    if not VERDICTS.is_file():
        raise UserError(f"{VERDICTS}: no such file; `dvc repro gate` writes it")
    try:
        verdicts = read_json(VERDICTS)["variants"]
        lines = [line(variant, verdict) for variant, verdict in verdicts.items()]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{VERDICTS}: damaged, not the gate's verdicts; `dvc repro gate` writes it") from None
    if not lines:
        raise UserError(f"{VERDICTS}: no verdict on any variant; `dvc repro gate` writes it")
    print("\n".join(lines))
    # whatever does not say "pass" has not passed
    if any(verdict["verdict"] != "pass" for verdict in verdicts.values()):
        sys.exit(1)


def line(variant: str, verdict: dict) -> str:
    """The verdict on a variant in one line."""
    n = verdict["checkpoints"]
    if verdict["verdict"] == "pass":
        chosen = f"epoch {verdict['recommended_epoch']} ({verdict['passing']} of {n} pass)"
        unconfirmed = "" if verdict["confirmed"] == "yes" else "; NOT confirmed on the other half"
        return f"{variant}: pass, {chosen}{unconfirmed}"
    counts: dict[str, int] = {}
    for finding in verdict["failing"]:
        how = "cannot be judged" if finding["value"] is None else "fails"
        counts[f"{finding['rule']} {how}"] = counts.get(f"{finding['rule']} {how}", 0) + 1
    broken = ", ".join(f"{what} at {count}" for what, count in counts.items())
    return f"{variant}: FAIL, none of {n} checkpoints passes ({broken})"


EPILOG = """The limits are in conf/gate. Exit code of --check: 0 every variant has a checkpoint that
passes, 1 one has none, 2 there are no verdicts to read."""

if __name__ == "__main__":
    run(main)
