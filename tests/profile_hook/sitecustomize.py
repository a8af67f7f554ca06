"""On PYTHONPATH: which of the project's functions run while a result is computed, and what its key covers.

Python imports this module when it starts, in a stage as in the workers that it starts. Each process writes
what it saw to a file of its own in $PROFILED, whenever a result is there.
"""

import json
import os
import sys
import threading

ROOT, FOLDER = os.getcwd(), os.environ["PROFILED"]
STAGE = any(argument.startswith("stages.") for argument in sys.orig_argv)
OURS = tuple(os.path.join(ROOT, name) + os.sep for name in ("privacy_report", "nets", "stages"))
MEMO, STORE, CODE = (
    os.path.join(ROOT, "privacy_report/pipeline", f"{name}.py") for name in ("memo", "store", "code")
)
WORKER = os.path.join(ROOT, "privacy_report/training/worker.py")
BACKEND = os.path.join(ROOT, "privacy_report/training/backend.py")
ATTACKING = os.path.join(ROOT, "privacy_report/attack/workers.py")
FUNCTION = 1  # a code object's flag: neither a module's nor a class's body

ran: set[str] = set()
covered: set[str] = set()
computing: list[object] = []


def starts(frame) -> bool:
    """Whether a call is what the memo computes, or a worker's task."""
    before, code = frame.f_back, frame.f_code
    if code.co_filename == WORKER and code.co_name == "work":
        return True
    caller = (before.f_code.co_filename, before.f_code.co_name) if before is not None else None
    return caller in ((MEMO, "recall"), (ATTACKING, "_make")) and code.co_filename not in (MEMO, STORE)


def import_unseen() -> None:
    """TensorFlow, set up as the project does; a million calls of no interest are not looked at."""
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    sys.setprofile(None)
    import keras  # noqa: F401

    sys.setprofile(note)


def note(frame, event, result) -> None:
    if event not in ("call", "return"):
        return
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(OURS):
        if code.co_filename == BACKEND and not code.co_flags & FUNCTION:
            import_unseen()
        if starts(frame):
            computing.append(frame)
        if computing and code.co_flags & FUNCTION:
            ran.add(f"{os.path.relpath(code.co_filename, ROOT)}: {code.co_qualname}")
    elif event == "return":
        if computing and frame is computing[-1]:
            computing.pop()
            write()
        elif STAGE and code.co_filename == CODE and code.co_name == "code_of" and result is not None:
            covered.update(os.path.relpath(path, ROOT) for path in result.files)
            write()  # a stage whose workers compute has no other moment


def write() -> None:
    with open(os.path.join(FOLDER, f"{os.getpid()}.json"), "w", encoding="utf-8") as file:
        json.dump({"ran": sorted(ran.copy()), "covered": sorted(covered.copy())}, file)


sys.setprofile(note)
threading.setprofile(note)
