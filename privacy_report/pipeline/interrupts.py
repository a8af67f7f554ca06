"""Ctrl-C in a run that has worker processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def without_ctrl_c() -> Iterator[None]:
    """Processes and threads that start in the block never get the Ctrl-C of a terminal; we do, after it.

    They inherit the mask, and hand it on to what they start. A worker that was interrupted itself would print
    a traceback; whoever starts one sees to it that it ends with this process.
    """
    resource_tracker.ensure_running()  # Python 3.11 clears the mask of the thread that starts it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
