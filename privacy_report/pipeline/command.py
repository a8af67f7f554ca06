"""What all command lines of the stages share: one-line errors and progress that fits the terminal."""

from __future__ import annotations

import argparse
import errno
import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from privacy_report.errors import UserError
from privacy_report.pipeline.overrides import blamed

T = TypeVar("T")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where there is no room for a file."""


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Call `main(argv)`; a UserError or a full disk becomes one line on stderr and exit code 2.

    Ctrl-C: exit code 130; SIGTERM, which ends it in the same way: 143; a reader of stdout that has gone, such
    as `head`: 141, as the shell says of SIGPIPE. What the locale's encoding lacks is
    printed with backslashes.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not where a notebook or a test has put its own
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _terminate)
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the interpreter's last flush
        sys.exit(141)
    except UserError as error:
        sys.exit(_fail(f"{error}{blamed(str(error))}", 2))
    except OSError as error:
        if error.errno not in FULL:
            raise
        where = error.filename or "a file"
        sys.exit(_fail(f"{where}: cannot be written ({error.strerror}); finished work is kept", 2))
    except KeyboardInterrupt as error:
        how, code = ("terminated", 143) if isinstance(error, TerminatedError) else ("interrupted", 130)
        _fail(f"{how}; finished work is kept", code)
        os._exit(code)  # at once: the libraries' own farewell takes seconds


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, which leaves a command as Ctrl-C does: nothing half-written, no process, no semaphore."""


def _terminate(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # `timeout` sends it twice; the way out is short
    raise TerminatedError


def variant_named(argv: Sequence[str], stage: str, description: str) -> str:
    """The variant that the command line of `python -m stages.<stage>` names."""
    parser = argparse.ArgumentParser(prog=f"python -m stages.{stage}", description=description)
    parser.add_argument("variant", help="a name under `variants` in params.yaml")
    name: str = parser.parse_args(argv).variant
    return name


def _fail(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr, flush=True)
    return code


def track(
    items: Iterable[T],
    total: int,
    label: str,
    says: Callable[[T], str] = lambda item: "",
    every: float = 9.0,
) -> Iterator[T]:
    """Pass `items` on, showing how many of `total` are done, the time left, and what the last one `says`.

    On a terminal this is a bar; elsewhere a plain line at most each `every` seconds, and a last one.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}"),
        )
        with Progress(*columns, console=console, transient=False) as progress:
            task = progress.add_task(label, total=total, said="")
            for item in items:
                yield item
                progress.update(task, advance=1, said=says(item))
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if done == total or now - last >= every:
            left = (now - start) / done * (total - done)
            line = [f"{label}: {done}/{total}", f"{left:.0f} s left", says(item)]
            print(", ".join(filter(None, line)), file=sys.stderr, flush=True)
            last = now
