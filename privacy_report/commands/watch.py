"""`privacy-report watch`: a page about the run in progress, written again every minute."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from privacy_report.audits.page import check_libraries
from privacy_report.errors import UserError
from privacy_report.pipeline.current import Current
from privacy_report.pipeline.files import atomic
from privacy_report.pipeline.params import load, load_each

if TYPE_CHECKING:
    from privacy_report.report.watched import Progress

EVERY = 60  # seconds
PAGE = Path(".dvc/tmp/watch.html")
DESCRIPTION = (
    "Write a page about a `dvc repro` in progress in another terminal: the report on the variants that are "
    "already trained and attacked, and for the others the epochs so far, with their validation accuracy. "
    f"It is written again every {EVERY} seconds until Ctrl-C, and a browser that shows it reloads it. "
    "Nothing is served, no output of the pipeline is touched, and DVC's lock is left alone."
)
EPILOG = (
    "A variant is finished if its attacks, by dvc.lock, belong to the present parameters, data and code; "
    "edits of dvc.yaml are not seen. The epochs of the others are looked up in the store. Its keys contain "
    "some environment variables, so start this command with the same ones as the run."
)


def main(argv: Sequence[str]) -> None:
    """Write the page now, and without --once again and again."""
    parser = argparse.ArgumentParser(prog="privacy-report watch", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument(
        "--out", type=Path, default=PAGE, metavar="FILE", help="the page (default: %(default)s)"
    )
    parser.add_argument("--once", action="store_true", help="write the page once and end")
    args = parser.parse_args(argv)
    if not Path(".dvc").is_dir():
        raise UserError(".dvc: no such folder; start watch in the folder of `dvc repro`")
    check_libraries("watch")
    watcher = Watcher(args.out)
    said = watcher.write()
    print(f"{args.out}: {said}", flush=True)
    while not args.once:
        time.sleep(EVERY)
        try:
            now = watcher.write()
        except (UserError, OSError) as error:  # a stage has begun to write what was just read
            now = f"not written this time ({' '.join(str(error).split())})"
        if now != said:
            print(f"{time.strftime('%H:%M:%S')}: {now}", file=sys.stderr, flush=True)
        said = now


class Watcher:
    """Writes the page to `path`. What is known from the time before is not read, or drawn, again."""

    def __init__(self, path: Path):
        from privacy_report.training.reached import Reached

        self.path = path
        self._reached: dict[str, Reached] = {}
        self._drawn: tuple[object, str] = (None, "")

    def write(self) -> str:
        """Write the page as things are now; how far the run is, in one line."""
        from privacy_report.report.watched import in_one_line, with_progress

        current = Current()
        variants = self._look(current)
        page, trouble = self._drawn[1], ""
        try:
            page = self._page([variant.name for variant in variants if variant.finished], current)
        except (UserError, OSError) as error:  # a claim that is refuted, or a table that is being written
            trouble = " ".join(str(error).split())
        written = time.strftime("%Y-%m-%d %H:%M:%S")
        with atomic(self.path) as file:
            file.write(with_progress(page, variants, written, EVERY, trouble).encode())
        return in_one_line(variants) + (f"; no new report: {trouble}" if trouble else "")

    def _look(self, current: Current) -> list[Progress]:
        """How far each variant is."""
        from privacy_report.report.watched import Progress
        from privacy_report.training import device
        from privacy_report.training.memberships import ReferenceParams
        from privacy_report.training.reached import Reached, reached
        from privacy_report.training.schema import BackendParams, Variant

        device.use(load("backend", BackendParams).device)  # it is in the keys
        params, variants = load("reference", ReferenceParams), []
        for name, config in load_each("variants", Variant).items():
            try:
                known = reached(name, config, params, self._reached.get(name, Reached()))
            except (UserError, OSError):  # its examples are being made
                known = Reached()
            self._reached[name] = known
            finished = current.is_current(f"attack@{name}")
            variants.append(
                Progress(name, config.label, config.epochs, known.val_accuracy, known.references, finished)
            )
        return variants

    def _page(self, finished: list[str], current: Current) -> str:
        """The report on the finished variants, "" without any; drawn anew only where something differs."""
        from privacy_report.gate.inputs import read_variants
        from privacy_report.report.watched import page_of, shown

        names = shown(finished, read_variants())
        made_of = (
            Path("params.yaml").read_bytes(),
            [(name, current.digest(f"attack@{name}")) for name in names],
        )
        if self._drawn[0] != made_of:
            self._drawn = made_of, page_of(names) if names else ""
        return self._drawn[1]
