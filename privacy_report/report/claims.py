"""What training spent of epsilon against what audits show: where that is more, no report is written."""

from __future__ import annotations

import math

from privacy_report.errors import UserError
from privacy_report.gate.twins import GRADIENTS, canaries_of
from privacy_report.pipeline.contract import EPSILON_JOINT, GIVEN_BEFOREHAND
from privacy_report.report.canaries import twins
from privacy_report.report.study import Study, is_attack


def check_claim(study: Study) -> None:
    """Raise UserError when an attack on a checkpoint finds more than the epsilon spent by then allows.

    The bounds compared are those that hold with 95% confidence for all rows of a variant at once. Slices that
    the model's output selects cannot break a claim, and neither can a placebo, nor the reference's epsilons,
    which are no bounds. Nor can bounds for persons: what is claimed is the epsilon of single rows.
    """
    if study.parity_mode:
        return
    for row in study.privacy:
        variant, bound = row["variant"], row[EPSILON_JOINT]
        if study.persons(variant):
            continue
        spent = study.spent(variant, int(row["epoch"]))
        if bound > spent and row["slice"].startswith(GIVEN_BEFOREHAND) and is_attack(row):  # NaN: false
            tested = [
                r for r in study.privacy if r["variant"] == variant and not math.isnan(r[EPSILON_JOINT])
            ]
            raise UserError(
                f"{variant}, epoch {row['epoch']:.0f}: attack {row['attack']} on {row['slice']} finds "
                f"epsilon >= {bound:.3f} (95%, for all {len(tested)} rows at once), but training had spent "
                f"{spent:.3f} by then: the accounting is wrong, or the training, or the audit, or members "
                "and non-members differ in more than membership"
            )


def check_one_run(study: Study) -> None:
    """UserError where a run leaks more than it claims, by the audit of that run.

    Of canaries that are examples, with secret noise only: with a committed seed the claim does not hold
    against whoever has it. Scores of gradients are a fixed formula of the updates, into which no seed goes.
    """
    for variant in twins(study):
        audit = study.one_run(variant)
        white_box = canaries_of(variant, study.variants) == GRADIENTS
        if audit is None or not (white_box or study.dp_settings(variant).get("seed") == "secret"):
            continue
        claimed, bound = study.spent(variant, audit["epoch"]), audit["epsilon_one_run"]
        if bound > claimed:
            raise UserError(
                f"{variant}, epoch {audit['epoch']}: its canaries show epsilon >= {bound:.3f} (95%), "
                f"in one run, but the training claims {claimed:.3f}: the accounting is wrong, or the training"
            )
