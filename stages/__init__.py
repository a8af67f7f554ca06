"""What dvc.yaml runs: one short module a stage, `python -m stages.<stage> [variant]`."""

import math
import os
import sys
import time
from types import TracebackType


def _quietly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C while a stage still imports its libraries is one line, as it is later."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    print("error: interrupted; finished work is kept", file=sys.stderr, flush=True)
    os._exit(130)


BEGAN = math.inf
"""When this process began to import the project's code, where it runs a stage."""
if sys.argv[0] == "-m":  # Python looks for the stage that is to run: nobody imports this as a library
    BEGAN = time.time()
    sys.excepthook = _quietly
