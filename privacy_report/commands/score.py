"""`privacy-report score`: somebody's Keras model on members and non-members, for `privacy-report audit`."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.command import track
from privacy_report.pipeline.epoch_names import by_epoch
from privacy_report.pipeline.files import read_arrays, write_arrays

ENDINGS = (".keras", ".h5")
OLDEST = (3, 11, 3)
"""Of Keras: older ones run code that an .h5 file brings along."""


def main(argv: Sequence[str]) -> None:
    args = _parser().parse_args(argv)
    models = _models(args.model)
    args.out = args.out or Path("scores" if args.model.is_dir() else f"{args.model.stem}.npz")
    data = [(_arrays(path), str(path)) for path in args.data]
    if args.out.resolve() in {path.resolve() for path in (*args.data, *models.values())}:
        raise UserError(f"--out: got {args.out}, which is read, allowed: another file")
    if len({path.resolve() for path in args.data}) == 1:
        raise UserError(f"--data: {args.data[0]} twice, allowed: members and others")
    keras = _keras(args.modules)
    from privacy_report.keras_callback import reason_of, scores, side_of

    members, nonmembers = (side_of(*files) for files in data)
    for epoch, path in track(models.items(), len(models), "score: models"):
        try:
            model = keras.models.load_model(path, compile=False)
        except Exception as error:  # of Keras, HDF5, or the model's own layers
            raise UserError(f"{path}: Keras cannot open it ({reason_of(error)})") from None
        try:
            arrays = scores(model, members, nonmembers, source=str(path))
        except UserError:
            raise
        except Exception as error:  # features that the model does not take
            raise UserError(f"{path}: cannot be run on these features ({reason_of(error)})") from None
        write_arrays(args.out if epoch is None else args.out / f"epoch_{epoch:04}.npz", arrays)
    print(f"{args.out}: `privacy-report audit {args.out}` attacks it", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="privacy-report score",
        description="Write the outputs of a Keras model on members and non-members into a file for "
        "`privacy-report audit`; for a folder of checkpoints, into a folder of such files. Needs Keras.",
    )
    parser.add_argument(
        "--model",
        type=Path,
        required=True,
        metavar="FILE|FOLDER",
        help="a .keras or .h5 file, or a folder of files whose names end in their epochs: epoch_0002.keras",
    )
    parser.add_argument(
        "--data",
        type=Path,
        nargs=2,
        required=True,
        metavar=("MEMBERS.npz", "NONMEMBERS.npz"),
        help="each has the arrays features (n, ...), as the model takes them, and labels (n,) or one-hot",
    )
    parser.add_argument("--out", type=Path, help="default: the model's name with .npz; `scores` for a folder")
    parser.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module that registers the model's own layers (keras.saving.register_keras_serializable)",
    )
    return parser


def _models(path: Path) -> dict[int | None, Path]:
    """Epoch -> file; None -> file where `path` is one."""
    if path.is_file():
        return {None: path}
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder")
    files = [file for file in path.iterdir() if file.suffix in ENDINGS]
    if not files:
        raise UserError(f"{path}: no checkpoints, allowed: files that end in {' or '.join(ENDINGS)}")
    return dict[int | None, Path](by_epoch(files).items())


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels in a file; what they must be `side_of` says."""
    arrays = read_arrays(path)
    if missing := {"features", "labels"} - set(arrays):
        raise UserError(f"{path}: lacks {', '.join(sorted(missing))}, has {sorted(arrays)}")
    return arrays["features"], arrays["labels"]


def _keras(modules: Sequence[str]):
    """Keras, set up as the user has it, except for TensorFlow's log: what goes wrong is raised, too."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _quiet():
            import keras
    except ImportError as error:
        raise UserError(f"score needs Keras: pip install '.[pipeline]' in a clone ({error})") from None
    if tuple(map(int, re.findall(r"\d+", keras.__version__)[:3])) < OLDEST:
        raise UserError(
            f"score: got Keras {keras.__version__}, allowed: {'.'.join(map(str, OLDEST))} or newer, since "
            "older ones run code that a model's file brings along"
        )
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            raise UserError(f"--import: cannot import {module} ({type(error).__name__}: {error})") from None
    return keras


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence for TensorFlow's C++ side, which greets on stderr before it reads its log level."""
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
