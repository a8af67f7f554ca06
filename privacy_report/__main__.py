"""The command `privacy-report`; each subcommand is a module of commands/."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from privacy_report.pipeline.command import run
from privacy_report.pipeline.release import version

COMMANDS = {
    "audit": "attack the outputs of your own model, of any framework",
    "score": "run your own Keras model, or its checkpoints, over members and non-members",
    "gate": "turn the verdicts of the last pipeline run into an exit code",
    "watch": "write a page about the run in progress, every minute",
    "store": "show or prune the store of finished work, or limit its size",
    "verify": "remove outputs and objects of DVC's cache that are not what was recorded",
}


def main(argv: Sequence[str]) -> None:
    """Hand the arguments on to a subcommand, which alone is imported."""
    lines = "\n".join(f"  {name:8} {about}" for name, about in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="privacy-report",
        description=f"Membership-inference audits.\n\ncommands:\n{lines}",
        epilog="`privacy-report COMMAND --help` explains a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"privacy-report {version()}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=", ".join(COMMANDS))
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    if not argv:
        parser.print_help()
        sys.exit(2)  # nothing was done: a script that lost its arguments has to notice
    args = parser.parse_args(argv)
    importlib.import_module(f"privacy_report.commands.{args.command}").main(args.arguments)


def entry() -> None:
    """What the installed console command runs."""
    run(main)


if __name__ == "__main__":
    entry()
