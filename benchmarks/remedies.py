"""What a remedy for a leak costs in training, and the table of docs/remedies.md.

`python -m benchmarks.remedies` trains an epoch of each remedy on random images of CIFAR-10's shape, after a
warm one and in turn, and writes benchmarks/remedies.json: CPU seconds for EXAMPLES examples, the medians of
ROUNDS.
`python -m benchmarks.remedies --table` prints the table, from that file and benchmarks/remedies.csv: the
plots/remedies.csv of a study of all remedies, without reference models (docs/remedies.md says how).
`python -m benchmarks.remedies --references STUDY ...` writes what reference models find in finished studies
to benchmarks/remedies_references.csv: a row per remedy that they attacked.
"""

from __future__ import annotations

import csv
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra import compose
from omegaconf import OmegaConf

from privacy_report.layers import opened
from privacy_report.pipeline.contract import ENTIRE
from privacy_report.pipeline.files import read_json, write_json
from privacy_report.pipeline.params import check
from privacy_report.pipeline.tables import Row, read_rows, write_table
from privacy_report.training.sampling import poisson_steps
from privacy_report.training.schema import Variant

ROOT = Path(__file__).resolve().parents[1]
RECORD, STUDY = (Path(__file__).with_suffix(end) for end in (".json", ".csv"))
ATTACKED = Path(__file__).with_name("remedies_references.csv")
SEES = {
    "outputs": (
        "threshold",
        "threshold_confidence",
        "threshold_entropy",
        "threshold_modified_entropy",
        "logistic",
    ),
    "labels": ("gap",),
    "labels_and_references": ("label_reference", "label_reference_offline"),
    "early_checkpoints": ("trajectory",),
    "references": ("lira", "rmia"),
}
"""What an attacker has, as in a column of remedies_references.csv -> the attacks."""
BASE = "cnn3"
EXAMPLES, ROUNDS = 5_000, 3
DIGITS = 4
MEMBERS = 50_000
"""Of CIFAR-10, which a training goes through in each epoch."""
HEAD = [
    "variant",
    "runs that pass the policy",
    "epoch",
    "accuracy",
    "advantage",
    "found at 1% FPR",
    "named with 1 in 10 wrong",
    "accuracy gained at equal leak",
    "advantage removed at equal accuracy",
    "training, CPU hours",
]


def remedies() -> dict[str, Variant]:
    """The base and its remedies, of the variants that have a file: no repetitions, no audit twins."""
    names = sorted(path.stem for path in (ROOT / "conf/variant").glob("*.yaml"))
    with opened(ROOT / "conf"):
        values = OmegaConf.to_container(compose("config", [f"variant=[{','.join(names)}]"]), resolve=True)
    assert isinstance(values, dict)
    configs = {name: check(f"variants.{name}", values["variants"][name], Variant) for name in names}
    return {
        name: config
        for name, config in configs.items()
        if name == BASE or (config.remedy_of == BASE and not config.repeats and not config.canaries)
    }


def measure() -> None:
    """Train in turn, and write the record."""
    import numpy as np

    from privacy_report.training.data import Data
    from privacy_report.training.job import NOWHERE
    from privacy_report.training.plan import job_of
    from privacy_report.training.target import trainer_of

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (EXAMPLES, 32, 32, 3)).astype(np.uint8)
    data = Data(images, rng.integers(0, 10, EXAMPLES), np.arange(EXAMPLES), np.arange(0), 10)
    trainers = {name: trainer_of(job_of(name, config, NOWHERE), data) for name, config in remedies().items()}
    taken: dict[str, list[float]] = {name: [] for name in trainers}
    for epoch in range(1, ROUNDS + 2):
        for name, trainer in trainers.items():
            started = time.process_time()
            trainer._train(trainer.regime.batches(epoch))  # without the accountant, which takes its time once
            if epoch > 1:  # the first one builds the graph
                taken[name].append(time.process_time() - started)
    write_json(RECORD, {name: statistics.median(values) for name, values in taken.items()})


def _as_many_epochs(config: Variant) -> float:
    """How many times the steps of an epoch of EXAMPLES an epoch of CIFAR-10's members has."""
    if config.privacy is None:
        return MEMBERS / EXAMPLES
    return poisson_steps(MEMBERS, config.batch_size) / poisson_steps(EXAMPLES, config.batch_size)


def lines() -> Iterator[list[str]]:
    """The cells of the table, a row each."""
    seconds = read_json(RECORD) if RECORD.exists() else {}
    hours = {
        name: seconds[name] * _as_many_epochs(config) * config.epochs / 3600
        for name, config in remedies().items()
        if name in seconds
    }
    with open(STUDY, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cost = f"{hours[row['variant']]:.2f}" if row["variant"] in hours else "-"
            tpr = f"{float(row['tpr_at_1pct_fpr']):.1%}" if row["tpr_at_1pct_fpr"] else "-"
            yield [
                row["label"],
                f"{row['runs_that_keep']} of {row['runs']}",
                row["epoch"] or "-",
                *(_said(row, column, ".3f") for column in ("val_accuracy", "advantage")),
                tpr,
                f"{float(row['named_at_10pct_fdr']):.0f}" if row["named_at_10pct_fdr"] else "-",
                *(_said(row, column, "+.3f") for column in ("accuracy_gain", "advantage_cut")),
                cost,
            ]


def attacked(studies: Sequence[Path]) -> Iterator[Row]:
    """What reference models found: the gate's choice, and each attacker's highest AUC at the last epoch."""
    for study in studies:
        for variant, config in remedies().items():
            path = study / f"data/attack/{variant}/privacy.csv"
            verdict = read_json(study / f"data/gate/{variant}.json") if path.exists() else {}
            if not verdict.get("reference_models"):
                continue
            whole = [row for row in read_rows(path) if row["slice"] == ENTIRE]
            last = max(row["epoch"] for row in whole)
            aucs = {row["attack"]: row["auc"] for row in whole if row["epoch"] == last}
            metrics = read_json(study / f"metrics/{variant}.json")
            yield {
                "variant": variant,
                "label": config.label,
                "references": verdict["reference_models"],
                **{name: metrics[name] for name in ("verdict", "epoch", "val_acc", "advantage")},
                "last_epoch": int(last),
                "last_val_acc": next(row["val_accuracy"] for row in whole if row["epoch"] == last),
                **{f"auc_{holds}": max(aucs[name] for name in names) for holds, names in SEES.items()},
            }


def table_of_attacked() -> list[str]:
    """The table of remedies_references.csv, a line a row."""
    head = ["variant", "reference models", "verdict: epoch, accuracy, advantage", "last epoch: accuracy"]
    head += ["AUC there: outputs", "labels", "labels, references", "early checkpoints", "references"]
    lines = [head, ["---"] * len(head)]
    with open(ATTACKED, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            accuracy, advantage, last = (
                float(row[name]) for name in ("val_acc", "advantage", "last_val_acc")
            )
            chosen = f"{row['verdict']}: {row['epoch']}, {accuracy:.3f}, {advantage:.3f}"
            aucs = (f"{float(row[f'auc_{holds}']):.3f}" for holds in SEES)
            lines.append([row["label"], row["references"], chosen, f"{row['last_epoch']}: {last:.3f}", *aucs])
    return [f"| {' | '.join(line)} |" for line in lines]


def _said(row: dict[str, str], column: str, form: str) -> str:
    """A number with its range over the runs."""
    if not row[column]:
        return "-" if row["pairs"] != "0" or form == ".3f" else ""
    value, low, high = (float(row[name]) for name in (column, f"{column}_low", f"{column}_high"))
    return f"{value:{form}}" + (f" ({low:{form}} to {high:{form}})" if low < high else "")


def table() -> list[str]:
    """The table, a line a row."""
    return [f"| {' | '.join(line)} |" for line in (HEAD, ["---"] * len(HEAD), *lines())]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--references"]:
        found = list(attacked([Path(study) for study in sys.argv[2:]]))
        write_table(ATTACKED, found, list(found[0]), DIGITS)
    elif sys.argv[1:] == ["--table"]:
        print("\n".join(table()))
    else:
        measure()
