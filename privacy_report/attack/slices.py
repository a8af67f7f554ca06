"""Named subsets of a checkpoint's examples, as masks over members and non-members together."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.attack.signals import Examples
from privacy_report.errors import UserError, one_line
from privacy_report.pipeline.measured import CLASS, CORRECT, ENTIRE, GROUP, INCORRECT, LOSS_PERCENTILE


@dataclass(frozen=True)
class Group:
    """A named set of examples: positions among the members and among the non-members of a score file."""

    member: tuple[int, ...] = field(default=())
    nonmember: tuple[int, ...] = field(default=())


Groups = Mapping[str, Group]


def groups_of_columns(
    columns: Sequence[Mapping[str, Any]], member: np.ndarray, nonmember: np.ndarray
) -> dict[str, Group]:
    """A group "COLUMN=VALUE" for each value of each column.

    columns: `column` and its `values` of each; member, nonmember: int (n_member, columns) and (n_nonmember,
    columns), which of the values the rows of a score file have, -1 for none.
    """
    return {
        f"{column['column']}={value}": Group(*(_where(side[:, i] == place) for side in (member, nonmember)))
        for i, column in enumerate(columns)
        for place, value in enumerate(column["values"])
    }


def _where(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())


def load_groups(path: Path | str) -> dict[str, Group]:
    """Index groups from JSON: {"NAME": {"member": [0, 7, ...], "nonmember": [3, ...]}, ...}.

    Positions count the rows of a score file's member and non-member arrays from 0. UserError when the
    file is missing or has another form.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file of index groups") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({one_line(error)})") from None
    form = f'{path}: must be {{"NAME": {{"member": [positions], "nonmember": [positions]}}, ...}}'
    if not isinstance(value, dict) or not value:
        raise UserError(form)
    groups = {}
    for name, sides in value.items():
        if not name.isprintable():
            raise UserError(f"{path}: group {name!r}, allowed: names of printable characters")
        if not isinstance(sides, dict) or set(sides) - {"member", "nonmember"}:
            raise UserError(f"{form}; group {name!r} is not")
        lists = {side: sides.get(side, []) for side in ("member", "nonmember")}
        if not all(map(_are_positions, lists.values())):
            raise UserError(f"{form}; group {name!r} has something else than positions, or one twice")
        groups[name] = Group(tuple(lists["member"]), tuple(lists["nonmember"]))
    return groups


def load_excluded(path: Path | str) -> np.ndarray:
    """Positions int (m,) from a CSV with the column `index`; lines that begin with # are comments.

    UserError for a file that is missing or has another form, and for a position twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file of excluded positions") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({one_line(error)})") from None
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    cells = [row.get("index") or "" for row in rows]
    if not cells or not all(cell.isdecimal() and len(cell) < 19 for cell in cells):
        raise UserError(f"{path}: must be a CSV whose column `index` has positions in images.npy")
    positions = np.array(cells, np.int64)
    if len(np.unique(positions)) < len(positions):
        raise UserError(f"{path}: has a position twice, allowed: each once")
    return positions


def _are_positions(value: object) -> bool:
    return (
        isinstance(value, list)
        and all(type(i) is int and i >= 0 for i in value)
        and len(set(value)) == len(value)
    )


def slices(
    examples: Examples, kinds: Sequence[str], groups: Groups | None = None, both_ends: bool = False
) -> Iterator[tuple[str, np.ndarray]]:
    """(name, mask bool (n,)) of every slice of the given kinds, in their order.

    Kinds: entire, class, correctness, percentile, group. Each example is in one loss decile; with
    `both_ends` a boundary example counts in both neighbours, as in the reference.
    """
    for kind in kinds:
        if kind == "entire":
            yield ENTIRE, np.ones(len(examples.labels), bool)
        elif kind == "class":
            for label in range(examples.n_classes):
                yield f"{CLASS}{label}", examples.labels == label
        elif kind == "correctness":
            yield CORRECT, examples.correct
            yield INCORRECT, ~examples.correct
        elif kind == "percentile":
            yield from _deciles(examples.loss, both_ends)
        elif kind == "group":
            for name, group in (groups or {}).items():
                yield f"{GROUP}{name}", _group_mask(examples, name, group)
        else:
            raise ValueError(f"unknown kind of slice {kind!r}")


def _deciles(loss: np.ndarray, both_ends: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Ten slices by percentiles of the loss, pooled over both sides."""
    edges = np.percentile(loss, np.arange(0, 101, 10))
    decile = np.minimum(np.searchsorted(edges[1:-1], loss, side="right"), 9)
    for i in range(10):
        inclusive = (edges[i] <= loss) & (loss <= edges[i + 1])
        yield f"{LOSS_PERCENTILE}{10 * i}-{10 * i + 10}", inclusive if both_ends else decile == i


def _group_mask(examples: Examples, name: str, group: Group) -> np.ndarray:
    """Mask of a group, whose positions count all examples; UserError for a position beyond the arrays."""
    n_member = int(examples.is_member.sum())
    n_nonmember = len(examples.columns.labels) - n_member
    mask = np.zeros(len(examples.columns.labels), bool)
    for side, positions, size, start in (
        ("member", group.member, n_member, 0),
        ("nonmember", group.nonmember, n_nonmember, n_member),
    ):
        if positions and max(positions) >= size:
            raise UserError(f"group {name!r}: {side} position {max(positions)}, allowed: 0 to {size - 1}")
        mask[np.array(positions, int) + start] = True
    return mask if examples.at is None else mask[examples.at]
