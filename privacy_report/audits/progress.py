"""A progress bar that only shows itself where there is time to look at it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

PATIENCE = 2.0
"""Seconds until the bar appears."""
EVERY = 20.0
"""Seconds between lines where there is no terminal."""


@contextmanager
def progress(label: str, total: float) -> Iterator[Callable[[float], None]]:
    """Give a function that is told how much of `total` was done; what takes over PATIENCE shows a bar.

    On stderr: on a terminal a bar that vanishes at the end, elsewhere a line each EVERY seconds at most.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(label, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(label, total=total)
    timer = threading.Timer(PATIENCE, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda amount: bar.update(task, advance=amount)
    finally:
        timer.cancel()
        timer.join()
        bar.stop()


def _lines(label: str, total: float) -> Callable[[float], None]:
    start = last = time.monotonic()
    done = 0.0

    def tell(amount: float) -> None:
        nonlocal last, done
        done += amount
        now = time.monotonic()
        if now - last >= EVERY:
            left = (now - start) / done * (total - done)
            print(f"{label}: {done / total:.0%}, {left:.0f} s left", file=sys.stderr, flush=True)
            last = now

    return tell
