"""Detectors of near duplicates on CIFAR-10: do they find test images that nearly repeat a training image?

A detector gives every test image a score. The 300 with the highest (3%) are flagged, and the published list
in conf/groups/cifar10_near_duplicates.csv says which should be. `python -m benchmarks.duplicate_detectors
[--data DATA]` reads DATA/prepare and DATA/train, and writes benchmarks/duplicate_detectors.json. What the
detectors compare is in benchmarks/image_similarity.py.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks import image_similarity as similar
from benchmarks.near_duplicates import EXCLUDED
from privacy_report.attack.intervals import lower_rate, upper_rate
from privacy_report.datasets import prepared
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.measured import LEVEL

FLAGGED, WANTED = 0.03, 0.85
"""The share of test images that is flagged, and the share of the list that should be among them."""
CANDIDATES = 20
"""Training images per test image that are compared in detail."""
TENTH = 9
EMBEDDED = ("residual", "cnn3_augment")
FOLDS = 5


def read_list(path: Path = EXCLUDED) -> dict[str, np.ndarray]:
    """Kind, near or similar -> (m, 2) positions in images.npy of test images and what they repeat."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    by_kind: dict[str, list[tuple[int, int]]] = {}
    for row in csv.DictReader(lines):
        by_kind.setdefault(row["kind"], []).append((int(row["index"]), int(row["member"])))
    return {kind: np.array(pairs) for kind, pairs in by_kind.items()}


def relative(nearest: np.ndarray) -> np.ndarray:
    """How much nearer the nearest training image is than the tenth, (n,); from (n, CANDIDATES) cosines."""
    distance = np.sqrt(np.maximum(2 - 2 * nearest, 0))
    return -distance[:, 0] / np.maximum(distance[:, TENTH], 1e-6)


def fitted(features: np.ndarray, listed: np.ndarray) -> np.ndarray:
    """Log odds (n,) of being on the list, each from folds without that image; features (n, d)."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return cross_val_predict(model, features, listed, cv=folds, method="decision_function")


def judged(scores: np.ndarray, kinds: dict[str, np.ndarray]) -> dict[str, Any]:
    """What of the list is among the FLAGGED with the highest scores (n,), and how many flags WANTED takes.

    kinds: kind -> rows of `scores` that are listed. Equal scores are flagged in the order of the rows.
    """
    place = np.empty(len(scores), np.int64)
    place[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    flags = int(FLAGGED * len(scores))
    recalls: dict[str, Any] = {}
    for kind, rows in kinds.items():
        hits = int((place[rows] < flags).sum())
        low, high = (float(rate(hits, len(rows), LEVEL / 2)) for rate in (lower_rate, upper_rate))
        recalls[kind] = {"hits": hits, "recall": hits / len(rows), "recall_low": low, "recall_high": high}
    needed = np.sort(place[kinds["near"]])[int(np.ceil(WANTED * len(kinds["near"]))) - 1] + 1
    return recalls | {"flags_for_wanted": int(needed)}


class Study:
    """The detectors, each tried once: name -> what it found, and the CPU seconds that it took by itself."""

    def __init__(self, test: np.ndarray, train: np.ndarray, pairs: dict[str, np.ndarray]):
        self.test, self.train = test, train
        self.partner = {kind: rows - [len(train), 0] for kind, rows in pairs.items()}
        self.kinds = {kind: rows[:, 0] for kind, rows in self.partner.items()}
        self.kinds["all"] = np.concatenate(list(self.kinds.values()))
        self.found: dict[str, Any] = {}

    def tell(self, name: str, scores: np.ndarray, began: float) -> None:
        """Keep what the scores (n_test,) of a detector find, which began at a `time.process_time`."""
        self.found[name] = judged(scores, self.kinds) | {"cpu_s": time.process_time() - began}
        near = self.found[name]["near"]
        print(f"{name}: {near['recall']:.3f}, {self.found[name]['flags_for_wanted']} flags for {WANTED:.0%}")

    def retrieved(self, name: str, rows: np.ndarray) -> None:
        """Keep how many near duplicates have their listed training image among the candidates (n_test, k)."""
        near = self.partner["near"]
        self.found[name]["listed_pair"] = float((rows[near[:, 0]] == near[:, 1:]).any(1).mean())

    def by_features(
        self, name: str, features: Callable[[np.ndarray], np.ndarray], views: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Try the nearest training image by some features, absolutely and relative to the tenth.

        Returns the CANDIDATES' similarities and rows, (n_test, CANDIDATES).
        """
        began = time.process_time()
        near = similar.nearest([features(view) for view in views], features(self.train), CANDIDATES)
        self.tell(name, near[0][:, 0], began)
        self.retrieved(name, near[1])
        self.tell(f"{name}, relative", relative(near[0]), began)
        return near

    def aligned(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Try the aligned correlation with the best of some candidates (n_test, k); returns it (n_test,)."""
        began = time.process_time()
        scores = similar.aligned(self.test, self.train, rows).max(1)
        self.tell(name, scores, began)
        return scores


def tried(study: Study, data: Path, cache: Path) -> dict[str, Any]:
    """Detector -> what it found."""
    test, train = study.test, study.train
    mirrored = [test, test[:, :, ::-1]]
    began = time.process_time()
    distance, _ = similar.least_distance([similar.colour8(view) for view in mirrored], similar.colour8(train))
    study.tell("thumbnails, distance", -distance, began)
    thumbnails = study.by_features("thumbnails", similar.centred_colour8, mirrored)
    steps = [(0, 0), (-2, 0), (2, 0), (0, -2), (0, 2)]
    shifted = [similar.shifted(view, *step) for view in mirrored for step in steps]
    study.by_features("grey, shifted", similar.grey16, shifted)
    study.by_features("gradients", similar.gradients16, mirrored)
    columns = [thumbnails[0][:, 0], relative(thumbnails[0])]
    candidates = [thumbnails[1]]
    columns.append(study.aligned("thumbnails, then aligned", thumbnails[1]))
    for variant in EMBEDDED:
        features = similar.embedding(data, variant, cache)
        near = study.by_features(f"embedding of {variant}", features, mirrored)
        columns += [near[0][:, 0], relative(near[0])]
        candidates.append(near[1])
    study.aligned(f"embedding of {EMBEDDED[0]}, then aligned", candidates[1])
    columns.append(study.aligned("both, then aligned", np.concatenate(candidates[:2], 1)))
    listed = np.isin(np.arange(len(test)), study.kinds["near"])
    began = time.process_time()
    study.tell("fitted to the list", fitted(np.stack(columns, 1), listed), began)
    return study.found


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir(), "embeddings"))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    data = prepared.read(args.data / "prepare")
    test, train = np.asarray(data.images[data.nonmember]), np.asarray(data.images[data.member])
    with threadpool_limits(1):
        detectors = tried(Study(test, train, read_list()), args.data, args.cache)
    about = {"flagged": FLAGGED, "wanted": WANTED, "candidates": CANDIDATES, "n_test": len(test)}
    write_json(args.out, about | {"detectors": detectors})


if __name__ == "__main__":
    run(main)
