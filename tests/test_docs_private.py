"""docs/: the tables of private training's checks and canaries are what committed files say."""

from __future__ import annotations

import csv
import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
import yaml
from doc_blocks import DOCS, check_block, table
from sandbox import ROOT
from scipy import stats

from privacy_report.pipeline.tables import read_rows, where
from privacy_report.report.canaries import BLACK_BOX, WHITE_BOX

VARIANTS = yaml.safe_load((ROOT / "params.yaml").read_text())["variants"]
BOUNDS = ("epsilon_one_run", "epsilon_one_run_fdp")
AUDITS = ("gradient canaries", "black box")
KINDS = ("cpu", "wall")
WITHOUT, ASSUMED = "epsilon at least, without assumption", "with a Gaussian trade-off"


def measured(name: str) -> dict:
    return json.loads((ROOT / f"benchmarks/{name}.json").read_text())


def rate(hits: int, n: int) -> str:
    """A count with the exact (Clopper-Pearson) 95% interval of its rate."""
    low, high = stats.binomtest(hits, n).proportion_ci(method="exact")
    return f"{hits} of {n} ({100 * low:.0f}-{100 * high:.0f}%)"


def caught(runs: list[dict]) -> str:
    """By the self-check: in how many runs, by which checks, and by which epoch where not in the first."""
    alarms = [alarm for run in runs if (alarm := run["self-check"])]
    said = rate(len(alarms), len(runs))
    if alarms:
        said += ": " + ", ".join(Counter(check for alarm in alarms for check in alarm["checks"]))
    last = max((alarm["epoch"] for alarm in alarms), default=1)
    return said if last == 1 else f"{said}; by epoch {last}"


def audited(runs: list[dict], audit: str) -> str:
    """In how many runs a bound is above the claim, and the ranges of both."""
    bounds = [[run[audit][name] for run in runs] for name in BOUNDS]
    ranges = [f"{min(values):.2f} to {max(values):.2f}" for values in bounds]
    above = sum(run[audit]["epsilon_one_run"] > run["claimed"] for run in runs)
    return f"{rate(above, len(runs))}: {' / '.join(ranges)}"


def test_what_catches_a_broken_trainer_is_what_was_measured():
    runs = measured("broken_trainer")
    order = sorted(runs, key=lambda name: (name != "sound", name))
    lines = [[name, caught(runs[name]), *(audited(runs[name], audit) for audit in AUDITS)] for name in order]
    check_block(DOCS / "canaries.md", "broken", table(["trainer (claimed: 1)", "self-check", *AUDITS], lines))
    assert len(order) == 12

    def above(audit: str, share: float) -> set[str]:
        """The trainers of which a bound is above the claim in at least such a share of the runs."""
        return {
            name
            for name in order
            if np.mean([run[audit][BOUNDS[0]] > run["claimed"] for run in runs[name]]) >= share
        }

    assert above("gradient canaries", 1.0) == above("gradient canaries", 1e-9) == {"no clipping", "no noise"}
    half = [run["gradient canaries"] for run in runs["noise of one half"]]
    assert min(run[BOUNDS[1]] for run in half) > runs["noise of one half"][0]["claimed"]
    assert above("black box", 0.5) == {"no clipping", "no noise", "clipping after the mean"}
    for name in order:
        assert all((run["self-check"] is None) == (name == "sound") for run in runs[name])


def spread(bounds: dict[str, list[float]]) -> list[str]:
    """Median and range of each bound over some runs."""
    ranges = [np.quantile(bounds[name], (0.5, 0, 1)) for name in BOUNDS]
    return ["{:.2f} ({:.2f} to {:.2f})".format(*quantiles) for quantiles in ranges]


def test_what_gradient_canaries_show_is_what_was_simulated():
    """And the committed run is one of sound noise."""
    by_factor = measured("gradient_canaries")["runs"]
    lines = [[factor, *spread(bounds)] for factor, bounds in by_factor.items()]
    head = ["noise, of the claimed", WITHOUT, ASSUMED]
    check_block(DOCS / "canaries.md", "simulated", table(head, lines))
    row = next(where(read_rows(ROOT / "plots/canaries.csv"), variant="cnn3_dp_gradient"))
    for name in BOUNDS:
        assert min(by_factor["1"][name]) <= row[name] <= max(by_factor["1"][name])


def test_what_trained_models_show_is_what_was_simulated():
    """Ten trainings on digits: their median is in the range of the runs without a model, and the reverse."""
    results = measured("gradient_canaries")["digits"]
    kinds = ("without a model", "trained")
    lines = [[kind, *spread(results[kind])] for kind in kinds]
    check_block(DOCS / "canaries.md", "trained", table(["ten runs on digits", WITHOUT, ASSUMED], lines))
    for name in BOUNDS:
        for kind, other in (kinds, kinds[::-1]):
            assert min(results[kind][name]) <= np.median(results[other][name]) <= max(results[kind][name])


def test_whether_chosen_canaries_show_more_is_what_was_measured():
    runs = measured("better_canaries")
    forms = {"val_accuracy": "{:.3f}", "auc": "{:.3f}", "correct": "{:.1f}", BOUNDS[0]: "{:.2f}"}
    lines = []
    for kind in ("mislabelled", "least likely", "influential"):
        means = [form.format(np.mean([run[kind][name] for run in runs])) for name, form in forms.items()]
        gains = [
            f"{forms[name]} ({forms[name]} to {forms[name]})".format(*gain(runs, kind, name))
            for name in ("auc", "correct")
        ]
        lines.append([kind, *means, *(gains if kind != "mislabelled" else "--")])
    guesses = f"right guesses of {runs[0]['mislabelled']['guesses']}"
    head = ["canaries", "validation accuracy", "AUC", guesses, WITHOUT, "more AUC", "more right guesses"]
    check_block(DOCS / "canaries.md", "better", table(head, lines))
    assert f"in {len(runs)} paired runs" in " ".join((DOCS / "canaries.md").read_text().split())
    for name in ("auc", "correct"):
        assert gain(runs, "influential", name)[1] > 0 > gain(runs, "least likely", name)[1]


def gain(runs: list[dict], kind: str, name: str) -> tuple[float, float, float]:
    """Mean paired difference to the mislabelled, with its 95% t interval."""
    more = np.array([run[kind][name] - run["mislabelled"][name] for run in runs])
    half = stats.t.ppf(0.975, len(more) - 1) * more.std(ddof=1) / np.sqrt(len(more))
    return more.mean(), more.mean() - half, more.mean() + half


def test_what_both_kinds_of_canaries_show_is_what_was_measured():
    last = {
        name: max(where(read_rows(ROOT / "plots/training.csv"), variant=name), key=lambda row: row["epoch"])
        for name in ("cnn3_dp", "cnn3_dp_canary", "cnn3_dp_gradient")
    }
    variant, *twins = last
    lines = []
    for name in twins:
        canaries = VARIANTS[name].get("canaries")
        row = next(where(read_rows(ROOT / "plots/canaries.csv"), variant=name))
        numbers = [*(row[bound] for bound in BOUNDS), row["epsilon_ceiling"], last[variant]["epsilon"]]
        sees = WHITE_BOX if canaries["kind"] == "gradient" else BLACK_BOX
        accuracy = f"{last[name]['val_accuracy']:.3f}"
        what = f"{canaries['count']:,} {canaries['kind']}"
        lines.append([what, sees, accuracy, *(f"{number:.2f}" for number in numbers)])
    accuracy = f"validation accuracy (without: {last[variant]['val_accuracy']:.3f})"
    head = ["canaries", "the attacker sees", accuracy, WITHOUT, ASSUMED, "ceiling", "claimed"]
    check_block(DOCS / "canaries.md", "gradients", table(head, lines))
    row = next(where(read_rows(ROOT / "plots/canaries.csv"), variant="scatter_dp_gradient"))
    said = "`scatter_dp` show at least {:.2f} without assumption, and {:.2f} with a Gaussian trade-off"
    assert said.format(*(row[bound] for bound in BOUNDS)) in " ".join(
        (DOCS / "canaries.md").read_text().split()
    )


def test_the_cost_of_the_self_check_is_what_was_measured():
    results = measured("self_check_cost")
    ways = ("neither", "self-check", "self-check and 5,000 gradient canaries")
    lines = []
    for way in ways:
        row = results[way]
        ranges = [
            "{:.3f} ({:.3f} to {:.3f})".format(row[f"{kind}_ratio"], *row[f"{kind}_ratios"]) for kind in KINDS
        ]
        lines.append([way, *(f"{row[kind]:.2f}" for kind in KINDS), *ranges])
    head = [f"{results['steps']} steps with", "CPU seconds", "wall seconds", "CPU, ratio", "wall, ratio"]
    assert f"medians of {results['rounds']} rounds" in " ".join((DOCS / "benchmarks.md").read_text().split())
    check_block(DOCS / "benchmarks.md", "self_check", table(head, lines))


TRIAL = ("angles", "filters", "learning_rate", "target_epsilon", "epochs", "features")
"""The columns of benchmarks/private_models.csv that tell trials apart; the others are the same in all."""


def trials() -> dict[tuple[str, ...], list[dict[str, str]]]:
    """The rows of each trial of the search for a private model, an epoch each."""
    by_settings: dict[tuple[str, ...], list[dict[str, str]]] = {}
    with open(ROOT / "benchmarks/private_models.csv", newline="") as file:
        for row in csv.DictReader(file):
            by_settings.setdefault(tuple(row[name] for name in TRIAL), []).append(row)
    return by_settings


def test_the_search_for_a_private_model_is_what_was_measured():
    lines = []
    for (angles, filters, rate, _, epochs, features), rows in trials().items():
        assert [int(row["epoch"]) for row in rows] == list(range(1, len(rows) + 1))
        last, seconds = rows[-1], sum(float(row["cpu_seconds"]) for row in rows)
        model = f"CNN, {filters} filters" if filters else "linear"
        ended = epochs if len(rows) == int(epochs) else f"{len(rows)} of {epochs}"
        spent = f"{float(last['epsilon']):.2f}"
        accuracy = f"{float(last['val_accuracy']):.3f}"
        lines.append([model, angles, rate, ended, features, spent, accuracy, f"{seconds:.0f}"])
    lines.sort(key=lambda line: (" of " in line[3], -float(line[5])))
    head = [
        "model",
        "angles",
        "learning_rate",
        "epochs",
        "features",
        "epsilon",
        "val_accuracy",
        "CPU seconds",
    ]
    check_block(DOCS / "differential_privacy.md", "private_models", table(head, lines))


CHAIN = ("scatter_dp", "scatter_dp3", "scatter_dp1")
"""Each variant inherits from the one before."""


@pytest.mark.parametrize(
    ("variant", "goal"), [("scatter_dp", 0.66), ("scatter_dp3", 0.60), ("scatter_dp1", 0.60)]
)
def test_a_private_variant_has_the_settings_of_a_full_trial_and_its_accuracy(variant, goal):
    config: dict[str, Any] = {"model": {"settings": {}}, "privacy": {}}
    for name in CHAIN[: CHAIN.index(variant) + 1]:
        own = yaml.safe_load((ROOT / f"conf/variant/{name}.yaml").read_text())
        settings = config["model"]["settings"] | own.get("model", {}).get("settings", {})
        privacy = config["privacy"] | own["privacy"]
        config |= own | {"model": {"settings": settings}, "privacy": privacy}
    filters = " ".join(map(str, settings["filters"]))
    rate, epochs = config["learning_rate"], config["epochs"]
    values = (settings["angles"], filters, rate, privacy["target_epsilon"], epochs, "once")
    rows = trials()[tuple(map(str, values))]
    assert len(rows) == config["epochs"]
    assert float(rows[-1]["val_accuracy"]) >= goal
    assert {float(row["batch_size"]) for row in rows} == {config["batch_size"]}
    assert {float(row["l2_norm_clip"]) for row in rows} == {privacy["l2_norm_clip"]}
