"""`privacy-report store`: show or prune the memo of finished work, or say how large it may grow."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from privacy_report.errors import UserError
from privacy_report.pipeline.store import entries, prune, root
from privacy_report.pipeline.store_policy import Policy, read_policy, write_policy


def main(argv: Sequence[str]) -> None:
    """Show or prune the store."""
    parser = argparse.ArgumentParser(
        prog="privacy-report store",
        description="Show or prune the store of finished epochs, scores, attacks and reference models. "
        "Everything in it can be computed again.",
    )
    commands = parser.add_subparsers(dest="command", metavar="[show|prune|policy]")
    commands.add_parser("show", help="list kinds with their number of entries and size (the default)")
    pruning = commands.add_parser("prune", help="remove the entries that have been unused longest")
    how = pruning.add_mutually_exclusive_group(required=True)
    how.add_argument("--keep-mb", type=float, metavar="N", help="leave at most N megabytes")
    how.add_argument("--all", action="store_true", help="remove everything")
    setting = commands.add_parser("policy", help="show or set how large the store may grow")
    setting.add_argument("--limit-mb", type=float, metavar="N", help="prune to N megabytes after each stage")
    args = parser.parse_args(argv)
    if args.command == "policy":
        _policy(args.limit_mb)
        return
    if args.command == "prune":
        keep = 0.0 if args.all else args.keep_mb
        if not keep >= 0:
            raise UserError(f"--keep-mb: got {keep}, allowed: a number of at least 0")
        files, freed = prune(int(keep * 1e6))
        print(f"removed {files} entries, {freed / 1e6:.1f} MB")
    stored = entries()
    for kind in sorted({entry.path.parent.name for entry in stored}):
        sizes = [entry.size for entry in stored if entry.path.parent.name == kind]
        print(f"{kind:10} {len(sizes):6} entries {sum(sizes) / 1e6:10.1f} MB")
    total = sum(entry.size for entry in stored)
    print(f"{'total':10} {len(stored):6} entries {total / 1e6:10.1f} MB in {root()}")


def _policy(limit_mb: float | None) -> None:
    """Show the store's policy, after a change where one is asked for."""
    if limit_mb is not None:
        write_policy(Policy(limit_mb))
    print(f"is pruned to {read_policy().limit_mb:g} MB, except for what was used within a day")
