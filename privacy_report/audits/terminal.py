"""An audit on a terminal: what was given, who wins, the worst classes, what was not measured; or all rows."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from privacy_report.attack import registry
from privacy_report.attack.needs import FEATURES, OUTPUTS
from privacy_report.attack.one_run import OneRun
from privacy_report.audits.attacks import EPOCH, default_estimators
from privacy_report.audits.checks import Side
from privacy_report.audits.models import Attacked
from privacy_report.audits.scores import SCORES
from privacy_report.gate.named import named_in_words
from privacy_report.pipeline.contract import (
    CLASS,
    ENTIRE,
    GROUP,
    LABEL,
    LOGITS,
    PLACEBO,
    RELEASES,
    ROWS,
    counts_persons,
    kind_of,
    on_logits,
    released_to,
    with_ends,
)
from privacy_report.pipeline.notes import reasons
from privacy_report.pipeline.tables import Row, where

WIDE = 118
"""Columns from which on a table has all intervals; a narrower one has the AUC's alone."""
PIPED = 160
MOST_PARTS = 3  # classes, and groups, that are shown
LEFT = ("epoch", "returned", "attack", "needs", "slice", "strongest attack", "leak", "leaks")


REST = "--full, or privacy.csv"


def tell(attacked: Attacked, full: bool = False, console: Console | None = None, rest: str = REST) -> None:
    """Print what was found, and what canaries say; with `full` every row and note. rest: where those are."""
    console = console or stdout()
    if attacked.rows:
        _header(attacked, console)
        if full:
            _all_rows(attacked, console)
        else:
            _in_short(attacked, console)
            _say(console, f"Every row and interval: {rest}")
    if attacked.coins:
        _say(console, in_short(attacked.coins))


def stdout() -> Console:
    """The terminal; in a pipe as wide as COLUMNS says, else PIPED."""
    return _Stdout() if Console().is_terminal or os.environ.get("COLUMNS") else _Stdout(width=PIPED)


class _Stdout(Console):
    """Rich's console, which leaves a closed pipe to the command: Rich's own exit code is 1, a verdict's."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def in_short(coins: OneRun) -> str:
    """A one-run audit in a line or two."""
    fdp = coins.epsilon_one_run_fdp
    return (
        f"Canaries: {coins.canaries}, of {coins.guesses} guesses {coins.correct} are right. "
        f"Epsilon is at least {coins.epsilon_one_run:.3f} at delta {coins.delta:g} (95%, one run; at most "
        f"{coins.epsilon_ceiling:.3f} can be shown with so many guesses)"
        + ("" if fdp is None else f"; {fdp:.3f} assuming a Gaussian trade-off curve")
    )


def _header(attacked: Attacked, console: Console) -> None:
    """What the audit was given, at the last checkpoint."""
    epoch, checked = max(attacked.inputs.items())
    several = len(attacked.inputs) > 1
    named = f", {len(attacked.inputs)} checkpoints, the last: epoch {epoch}" if several else ""
    _say(console, f"Membership inference: {attacked.name}{named}")
    persons = [None, None] if checked.persons is None else [len(rows) for rows in checked.persons]
    _say(console, f"members:     {_in_words(checked.member, checked.given, persons[0])}")
    _say(console, f"non-members: {_in_words(checked.nonmember, checked.given, persons[1])}")
    chance = " (no more than by chance)" if checked.equal_rows and "equal" not in checked.warnings() else ""
    constant = [name for name, side in _sides(attacked, epoch) if side.constant]
    _say(
        console,
        f"rows equal on both sides: {checked.equal_rows:,}{chance}; "
        f"constant outputs: {' and '.join(constant) or 'none'}",
    )


def _sides(attacked: Attacked, epoch: int) -> list[tuple[str, Side]]:
    return [("members", attacked.inputs[epoch].member), ("non-members", attacked.inputs[epoch].nonmember)]


def _in_words(side: Side, given: str, persons: int | None) -> str:
    if given == SCORES:
        return f"{side.n:,} scores" + ("" if persons is None else f" of {persons:,} persons")
    if persons is not None:  # whose rows are alike: how well they are classified has no simple interval
        return f"{side.n:,} rows of {persons:,} persons, accuracy {side.accuracy:.3f}"
    low, high = side.interval
    return f"{side.n:,}, accuracy {side.accuracy:.3f} ({low:.3f}-{high:.3f})"


def _in_short(attacked: Attacked, console: Console) -> None:
    """Who wins: by epoch where there are several, then all attacks and the worst classes of the last."""
    epochs, wide = list(attacked.results), console.width >= WIDE
    if len(epochs) > 1:
        _print(console, "Each epoch, and the attack with the highest AUC", _by_epoch(attacked), wide)
    every = list(where(attacked.rows, epoch=epochs[-1]))
    rows = on_logits(every)
    at = f"Epoch {epochs[-1]}: the" if len(epochs) > 1 or epochs[-1] != EPOCH else "The"
    entire = sorted(where(rows, slice=ENTIRE), key=_strength, reverse=True)
    attacks = [
        {"attack": row["attack"], "needs": _needs(row, wide)} | _cells(row, wide) for row in _measured(entire)
    ]
    _print(console, f"{at} entire dataset, strongest attack first", attacks, wide)
    _say(console, "", f"{named_in_words(entire, counts_persons(every))}.")
    for line in _of_rows(rows):
        _say(console, line)
    worst = [{"slice": row["slice"], "attack": row["attack"]} | _cells(row, wide) for row in _worst(rows)]
    _print(console, f"{at} worst classes, each by its strongest attack", worst, wide)
    less = [row for row in where(every, slice=ENTIRE) if row not in rows]
    _print(console, f"{at} entire dataset, if the service returns less", _by_release(less, wide), wide)
    for line in _counts(attacked.rows):
        _say(console, line)


def _of_rows(rows: Sequence[Row]) -> Iterator[str]:
    """What the attack that does best on rows finds, next to numbers that count persons."""
    if counts_persons(rows):
        best = max(where(rows, slice=ROWS), key=_strength)
        strongest = f"AUC {_interval(best, 'auc')} by {best['attack']}"
        yield f"Of rows instead of persons: {strongest}, clustered by person."


def _by_release(rows: Sequence[Row], wide: bool) -> list[dict[str, str]]:
    """A line per attack on less than logits, from the most informative to the least."""
    ordered = sorted(_measured(rows), key=lambda row: RELEASES.index(released_to(row["attack"])))
    return [
        {"returned": released_to(row["attack"]), "attack": row["attack"]} | _cells(row, wide)
        for row in ordered
    ]


def _measured(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["auc"] is not None]


def _strength(row: Row) -> tuple[bool, float]:
    """By what rows are ordered: a placebo is no attack and comes last."""
    return kind_of(row["attack"]) != PLACEBO, -1.0 if row["auc"] is None else row["auc"]


def _worst(rows: Sequence[Row]) -> Iterator[Row]:
    """The classes, and the groups, that leak most: what was detected first, then by the highest AUC."""
    for kind in (CLASS, GROUP):
        best: dict[str, Row] = {}
        parts = [row for row in _measured(rows) if row["slice"].startswith(kind)]
        for row in sorted(parts, key=lambda row: (row["leaks"] == "yes", *_strength(row)), reverse=True):
            if kind_of(row["attack"]) != PLACEBO:
                best.setdefault(row["slice"], row)
        yield from list(best.values())[:MOST_PARTS]


def _needs(row: Row, wide: bool) -> str:
    """What an attack needs of its user; on a narrow terminal its first word."""
    if kind_of(row["attack"]) == PLACEBO:
        return "no attack"
    needs = registry.find(row["attack"], registry.DEFAULT, default_estimators()).needs
    needs = OUTPUTS if needs == FEATURES else needs  # trained attackers take no more than the outputs, too
    if (sees := released_to(row["attack"])) != LOGITS:
        sees = "labels" if sees == LABEL else sees
        needs = sees if needs == OUTPUTS else f"{sees}, {needs}"
    return needs if wide else needs.partition(" ")[0]


def _by_epoch(attacked: Attacked) -> list[dict[str, str]]:
    """A line per epoch: the non-members' accuracy, the strongest attack, how many attacks detected a leak."""
    lines = []
    for epoch in attacked.results:
        rows = on_logits(where(attacked.rows, epoch=epoch, slice=ENTIRE))
        attacks = [row for row in _measured(rows) if kind_of(row["attack"]) != PLACEBO]
        line = {"epoch": str(epoch), "val.\naccuracy": _number(rows[0]["val_accuracy"])}
        if attacks:
            best = max(attacks, key=_strength)
            leaking = sum(row["leaks"] == "yes" for row in attacks)
            line |= {"strongest attack": best["attack"], "AUC (95%)": _interval(best, "auc")}
            line |= {"advantage": _number(best["advantage"]), "leaks": f"{leaking} of {len(attacks)}"}
        lines.append(line)
    return lines


def _cells(row: Row, wide: bool) -> dict[str, str]:
    cells = {"AUC (95%)": _interval(row, "auc")}
    if wide:
        cells |= {"advantage (95%)": _interval(row, "advantage")}
        cells |= {"found at 1% FPR (95%)": _interval(row, "tpr_at_1pct_fpr")}
    else:
        cells |= {"advantage": _number(row["advantage"])}
        cells |= {"found at\n1% FPR": _number(row["tpr_at_1pct_fpr"])}
    return cells | {"leak": _leak(row)}


def _counts(rows: Sequence[Row]) -> Iterator[str]:
    """What could not be measured: each reason with the number of rows, most frequent first."""
    having: dict[str, list[Row]] = {}
    for row in rows:
        for reason in dict.fromkeys(reasons(row["note"])):
            having.setdefault(reason, []).append(row)
    for reason, noted in sorted(having.items(), key=lambda item: -len(item[1])):
        attacks = Counter(row["attack"] for row in noted)
        named = f"{', '.join(attacks)}: " if len(attacks) == 1 else ""
        yield f"{len(noted)} of {len(rows)} row{'s' if len(rows) > 1 else ''}: {named}{reason}"


def _all_rows(attacked: Attacked, console: Console) -> None:
    """Every row, in a section for each epoch and slice, then every note."""
    wide, several, persons = console.width >= WIDE, len(attacked.results) > 1, counts_persons(attacked.rows)
    sections: dict[str, list[dict[str, str]]] = {}
    notes = []
    for row in attacked.rows:
        at = f"epoch {row['epoch']}, {row['slice']}" if several else row["slice"]
        unit = " (persons)" if persons and row["slice"] != ROWS else ""
        title = f"{at}: {row['n_member']:,} members, {row['n_nonmember']:,} non-members{unit}"
        line = {"epoch": str(row["epoch"])} if several and wide else {}
        sections.setdefault(title, []).append(line | {"attack": row["attack"]} | _all_cells(row, wide))
        notes += [f"{at}, {row['attack']}: {row['note']}"] if row["note"] else []
    for title, lines in sections.items():
        _print(console, title, lines, wide)
    _say(console, *notes)


def _all_cells(row: Row, wide: bool) -> dict[str, str]:
    """All numbers with their intervals, which are a line of their own where the terminal is narrow."""
    end, found_at = (" ", "found at 1% FPR") if wide else ("\n", "found at\n1% FPR")
    heads = {"AUC": "auc", "advantage": "advantage", found_at: "tpr_at_1pct_fpr"}
    cells = {f"{head}{end}(95%)": _interval(row, name, end) for head, name in heads.items()}
    epsilon = "epsilon,\nfixed split" if wide else "eps.,\nfixed\nsplit"
    return cells | {"leak": _leak(row), epsilon: _number(row["epsilon_fixed_split"])}


def _leak(row: Row) -> str:
    return "-" if row["auc"] is None else row["leaks"] or "-"


def _print(console: Console, title: str, lines: Sequence[dict[str, str]], wide: bool) -> None:
    """A table under its title, if it has lines; cells that are too wide fold, and nothing is cut off."""
    if not lines:
        return
    _say(console, "", title)
    table = Table(box=None, pad_edge=False, padding=(0, 2 if wide else 1, 0, 0))
    for name in max(lines, key=len):
        table.add_column(name, justify="left" if name in LEFT else "right", overflow="fold")
    for line in lines:
        table.add_row(*(Text(line.get(str(column.header), "")) for column in table.columns))
    console.print(table)


def _say(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(row: Row, name: str, end: str = " ") -> str:
    """A value and, after `end`, its interval; an end of 0 that the test of `leaks` excludes is ">0.000"."""
    if row[name] is None:
        return "-"
    value, low, high = (row[column] for column in with_ends(name))
    excluded = ">" if name == "advantage" and not low and row["leaks"] == "yes" else ""
    return f"{value:.3f}{end}({excluded}{low:.3f}-{high:.3f})"
