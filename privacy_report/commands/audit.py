"""`privacy-report audit`: membership inference on the outputs of a model of any framework.

Attacks files of member and non-member outputs, prints the tables, and writes privacy.csv, summary.json,
examples.csv and, if there are canaries, one_run.json. It may judge the results by a policy. It needs no
TensorFlow, git or DVC.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from privacy_report.attack import registry
from privacy_report.attack.schema import SLICES
from privacy_report.audits.attacks import default_estimators
from privacy_report.audits.models import (
    MOST_CLASSES_FOR_SLOWER,
    MOST_FOR_SLOWER,
    QUICK,
    SLOWER,
    attack_model,
    models_at,
    read_policy,
    verdict,
)
from privacy_report.audits.page import check_libraries, write_page
from privacy_report.audits.raw_outputs import CSV_COLUMNS
from privacy_report.audits.terminal import tell
from privacy_report.audits.written import try_file, try_folder, write
from privacy_report.errors import UserError
from privacy_report.gate.words import KEEPS
from privacy_report.gate.words import line as in_words
from privacy_report.pipeline.measured import MAX, PERSON_SCORES
from privacy_report.pipeline.release import version

EPILOG = """examples:
  privacy-report audit mine.npz
  privacy-report audit scores --gate default --html page.html

This writes the first file:
  np.savez("mine.npz", member_logits=..., member_labels=..., nonmember_logits=..., nonmember_labels=...)

Exit code: 0 when done; with --gate, 1 if a model breaks the policy or cannot be judged; 2 after one line
that says what is wrong with a file, an option or the policy. Odd outputs give a warning, which changes no
exit code."""

FILES = (
    "one model each: an .npz with the arrays member_logits (or member_probs) float (n, n_classes), "
    "for two classes also (n,), member_labels (n,), and the same for nonmember_; it is never unpickled. "
    "Or a folder of such files whose names end in their epochs (epoch_0002.npz), of which early ones "
    f"help attack later ones; a folder of these arrays as .npy; a .csv with the columns {CSV_COLUMNS}. "
    "Labels may be one-hot; labels of text need the array classes, which names the columns. For stronger "
    "attacks, add early_logits (k, n, n_classes) or early_phi (k, n) of earlier checkpoints, and "
    "reference_logits or reference_phi with reference_is_member bool (k, n) of reference models; members "
    "come first, and n = n_member + n_nonmember. Instead of logits, give predicted classes as "
    "member_predictions and nonmember_predictions (n,), or, for any model and without labels, "
    "member_scores and nonmember_scores (n,), higher = more likely a member. If several rows are of one "
    "person, add member_person and nonmember_person (n,), integers or text, or the column person: then "
    "persons are scored and counted. For the one-run audit, add canaries, each of which is in the "
    "training set by a fair coin: member_is_canary and nonmember_is_canary, bool; or give canary_scores "
    "float (m,), higher = more likely in, and canary_is_member bool (m,), which need no other array; "
    "canary_id and canary_coin_id (m,) join the two by their ids"
)
"""What the help says of the files."""


def main(argv: Sequence[str]) -> None:
    """Attack, write, print; with --gate exit with 1 when a model does not keep the policy."""
    parser = _parser()
    if not argv:
        parser.print_help()
        sys.exit(2)  # nothing was audited: a script that lost its files has to notice
    args = parser.parse_args(argv)
    if args.html and not args.gate:
        raise UserError("--html: the page is a verdict and needs a policy: --gate default")
    policy = read_policy(args.gate) if args.gate else None
    if args.html:
        check_libraries()
        try_file(args.html, f"--html {args.html}")
    options = {name: getattr(args, name) for name in ("mode", "seed", "groups", "delta", "person_score")}
    options["slices"] = _split(args.slices)
    attacks = _split(args.attacks) if args.attacks else None
    models = models_at(args.files, args.models)
    folders = {model.name: args.out / model.name if len(models) > 1 else args.out for model in models}
    for folder in folders.values():
        try_folder(folder, f"--out {folder}")
    attacked = []
    for model in models:
        attacked.append(attack_model(model, attacks, options, policy is not None, args.guesses))
        for warning in attacked[-1].warnings:
            print(f"warning: {warning}", file=sys.stderr, flush=True)
        write(folders[model.name], attacked[-1])  # before it is printed: the reader of a pipe may have gone
        tell(attacked[-1], args.full)
    if policy is None:
        return
    verdicts = {result.name: verdict(result, policy) for result in attacked}
    for name, said in verdicts.items():
        print(in_words(name, said), flush=True)
    if args.html:
        write_page(attacked, verdicts, args.html)
        print(f"page: {args.html}", flush=True)
    if any(said["verdict"] != KEEPS for said in verdicts.values()):
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="privacy-report audit",
        description="Attack the outputs of trained models: how well do they tell members from non-members?",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"privacy-report {version()}")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help=FILES)
    parser.add_argument(
        "--models", action="store_true", help="each file in a folder is a separate model, not an epoch"
    )
    _add_attacks(parser)
    _add_outputs(parser)
    return parser


def _add_attacks(parser: argparse.ArgumentParser) -> None:
    """How the files are attacked."""
    parser.add_argument(
        "--attacks",
        help=f"comma-separated from {', '.join(registry.known(registry.DEFAULT, default_estimators()))}; "
        f"with --mode parity from {', '.join(registry.known(registry.PARITY))} "
        f"(default: {', '.join(QUICK)}; "
        f"up to {MOST_FOR_SLOWER} examples of {MOST_CLASSES_FOR_SLOWER} classes also {', '.join(SLOWER)}; "
        "and trajectory, lira, rmia if the file has what they need)",
    )
    parser.add_argument(
        "--slices",
        default="entire,class",
        help=f"comma-separated from {', '.join(SLICES)}; entire is always attacked, group needs --groups "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--mode", default="default", help="default, or parity: tensorflow_privacy's semantics"
    )
    parser.add_argument("--seed", type=int, default=0, help="of folds and estimators (default: %(default)s)")
    parser.add_argument(
        "--groups",
        metavar="FILE.json",
        help='index groups {"NAME": {"member": [...], "nonmember": [...]}}; adds the slices group=NAME',
    )
    parser.add_argument(
        "--person-score",
        default=MAX,
        metavar="|".join(PERSON_SCORES),
        help="how a person's score follows from the scores of the rows (default: %(default)s)",
    )
    parser.add_argument(
        "--delta",
        type=float,
        help="delta at which epsilon is bounded (default: 1e-5, or less for many members)",
    )
    parser.add_argument(
        "--guesses",
        type=int,
        metavar="R",
        help="coins that the one-run audit guesses, fixed beforehand (default: a fifth of the canaries)",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    """What is written and printed, and which policy has to be kept."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("audit"),
        help="folder to write to, where the files of an earlier audit are replaced (default: %(default)s)",
    )
    parser.add_argument(
        "--full", action="store_true", help="print every row: all attacks, slices, epochs and notes"
    )
    parser.add_argument(
        "--gate",
        type=Path,
        metavar="POLICY.yaml",
        help="a policy file like conf/gate/default.yaml, or `default` for that one",
    )
    parser.add_argument("--html", type=Path, metavar="PAGE.html", help="write the report page, too")


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
