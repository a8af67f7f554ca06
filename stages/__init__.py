"""What dvc.yaml runs: one short module a stage, `python -m stages.<stage> [variant]`."""

import os
import sys
from types import TracebackType


def _quietly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C while a stage still imports its libraries is one line, as it is later."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    print("error: interrupted; finished work is kept", file=sys.stderr, flush=True)
    os._exit(130)


if sys.argv[0] == "-m":  # Python looks for the stage that is to run: nobody imports this as a library
    sys.excepthook = _quietly
