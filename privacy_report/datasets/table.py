"""Rows of a user's own table, CSV or Parquet, as vectors: scaled numbers and one-hot categories."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.datasets import own, splits
from privacy_report.datasets.labelled import LabelledImages, RefusedError
from privacy_report.datasets.schema import DatasetParams
from privacy_report.errors import UserError, one_line
from privacy_report.pipeline.params import one_of

MOST_CATEGORIES = 100  # of one column: more are names or texts, not categories
ONLY = "all"


def load(params: DatasetParams, path: Path) -> LabelledImages:
    """float32 (n, features) of a table's columns, with the label column as classes.

    Numbers are scaled to mean 0 and deviation 1, missing ones replaced by the median; texts and truth values
    are one-hot, an unknown category is all zeros. Means, medians and categories are those of the members
    alone, as a model's owner would fit them, or of `fit_split`, or the constants `scales` and `categories`,
    where a missing number is the mean. UserError of one line that names the column.
    """
    table = _read(path)
    kept = [name for name in table.column_names if name not in params.drop]
    for key, wanted in (("label", params.label), ("split", params.split), ("person", params.person)):
        if wanted is not None and wanted not in kept:
            raise RefusedError(f"dataset.{key}: {path} has no column {wanted!r}, allowed: {', '.join(kept)}")
    if unknown := [name for name in params.drop if name not in table.column_names]:
        raise RefusedError(f"dataset.drop: {path} has no column {unknown[0]!r}")
    if not table.num_rows:
        raise RefusedError(f"{path}: an empty table")
    table, rows = _by_split(table, params.split, path)
    groups = {name: _groups(table, name, path) for name in params.groups}
    labels, names = _labels(table.column(params.label), params.label or "", path)
    persons = None if params.person is None else _persons(table.column(params.person), params.person, path)
    columns = {
        name: _column(table.column(name), name, path)
        for name in kept
        if name not in (params.label, params.split, params.person)
    }
    if not columns:
        raise RefusedError(f"{path}: no column is left next to the label")
    for name, values in columns.items():
        _check_leak(name, values, labels, path)
    fitted = _fitted(params, rows, labels, persons)
    if params.fit_split:
        _check_kinds(columns, fitted, path)
    constants = _constants(params, columns, path)
    features = np.concatenate(
        [
            constants[name](values) if name in constants else _encoded(name, values, fitted, path)
            for name, values in columns.items()
        ],
        axis=1,
    )
    parts = {name: (features[at.start : at.stop], labels[at.start : at.stop]) for name, at in rows.items()}
    who = {} if persons is None else {name: persons[at.start : at.stop] for name, at in rows.items()}
    return replace(own.examples(parts, names, path, who), groups=groups)


def _groups(table: Any, name: str, path: Path) -> np.ndarray:
    """Which group each row is in by a column, text (n,), "" where it says nothing."""
    if name not in table.column_names:
        raise RefusedError(f"dataset.groups: {path} has no column {name!r}")
    values = [value for value in table.column(name).to_pylist() if value is not None]
    if bad := [value for value in values if not isinstance(value, int | str)]:
        raise RefusedError(f"dataset.groups: column {name} holds {bad[0]!r}, allowed: whole numbers or texts")
    if len(set(values)) > MOST_CATEGORIES:
        raise RefusedError(
            f"dataset.groups: column {name} has {len(set(values))} values, allowed: {MOST_CATEGORIES}"
        )
    texts = ["" if value is None else str(value).strip() for value in table.column(name).to_pylist()]
    if bad := [text for text in texts if not text.isprintable()]:
        raise RefusedError(f"dataset.groups: column {name} holds {bad[0]!r}, allowed: printable characters")
    return np.array(texts)


def _persons(column: Any, name: str, path: Path) -> np.ndarray:
    """Whose row each is, integers or text (n,)."""
    values = column.to_pylist()
    if None in values:
        raise RefusedError(f"{path}: person {name} is missing in row {values.index(None) + 1}")
    kinds = {type(value) for value in values}
    if kinds != {int} and kinds != {str}:
        raise RefusedError(f"{path}: person {name} holds {values[0]!r}, allowed: whole numbers or texts")
    return np.array(values)


def _read(path: Path) -> Any:
    import pyarrow as pa  # costs a part of a second, and other datasets have no use for it
    from pyarrow import csv, parquet

    # Truth values stay texts: with inference one member's "maybe" would rename those of all others.
    as_written = csv.ConvertOptions(true_values=[], false_values=[])
    readers = {".csv": partial(csv.read_csv, convert_options=as_written), ".parquet": parquet.read_table}
    if path.suffix not in readers:
        raise RefusedError(f"{path}: allowed: a file that ends in {' or '.join(readers)}")
    try:
        table = readers[path.suffix](path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise RefusedError(f"{path}: cannot be read as a table ({one_line(error)[:200]})") from None
    if len(set(table.column_names)) < len(table.column_names):
        raise RefusedError(f"{path}: several columns have one name: {', '.join(table.column_names)}")
    return table


def _by_split(table: Any, split: str | None, path: Path) -> tuple[Any, dict[str, range]]:
    """The rows sorted by their split, as they were within it, and where each split's are."""
    if split is None:
        return table, {ONLY: range(table.num_rows)}
    of = table.column(split).to_pylist()
    if None in of:
        raise RefusedError(f"{path}: column {split} has no value in row {of.index(None) + 1}")
    order: list[int] = []
    rows: dict[str, range] = {}
    for name in dict.fromkeys(of):
        split_rows = [row for row, value in enumerate(of) if value == name]
        rows[str(name)] = range(len(order), len(order) + len(split_rows))
        order += split_rows
    return table.take(order), rows


def _labels(column: Any, name: str, path: Path) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Whole numbers as they are; texts in alphabetical order, as the classes' names."""
    values = column.to_pylist()
    if None in values:
        raise RefusedError(f"{path}: label {name} is missing in row {values.index(None) + 1}")
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return np.array(values, np.int64), None
    if all(isinstance(value, float) for value in values):
        raise RefusedError(
            f"{path}: label {name} holds fractions such as {values[0]}, allowed: whole numbers or texts"
        )
    texts = [str(value) for value in values]
    if empty := [row for row, text in enumerate(texts, start=1) if not text.strip()]:
        raise RefusedError(
            f"{path}: label {name} is empty in row {empty[0]} and {len(empty)} rows in all; give these a "
            "label or leave them out"
        )
    numeric = [_is_number(text) for text in texts]
    if any(numeric) and not all(numeric):
        row = numeric.index(False)
        raise RefusedError(f"{path}: label {name} is {texts[row]!r} in row {row + 1} and a number in others")
    names = sorted(set(texts))
    if len(names) > len(texts) / 2:
        raise RefusedError(
            f"{path}: label {name} has {len(names)} different texts in {len(texts)} rows: no classes"
        )
    return np.array([names.index(text) for text in texts], np.int64), tuple(names)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _column(column: Any, name: str, path: Path) -> np.ndarray:
    """A column's values: float64 with NaN, or object with None."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = np.array([math.nan if value is None else float(value) for value in column.to_pylist()])
        if np.isinf(values).any():
            raise RefusedError(f"{path}: column {name} holds infinity")
        return values
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind):
        return np.array([None if value is None else str(value) for value in column.to_pylist()], object)
    raise RefusedError(
        f"{path}: column {name} holds {kind}, allowed: numbers, texts; leave it out with dataset.drop"
    )


def _check_leak(name: str, values: np.ndarray, labels: np.ndarray, path: Path) -> None:
    """Refuse a column that says the label: values that occur again, each with one label only.

    A number that differs from row to row, or a column that almost says it, is not noticed.
    """
    seen: dict[Any, set[int]] = {}
    counts: dict[Any, int] = {}
    for value, label in zip(values.tolist(), labels.tolist(), strict=True):
        key = None if value != value else value
        seen.setdefault(key, set()).add(label)
        counts[key] = counts.get(key, 0) + 1
    repeated = sum(count for count in counts.values() if count > 1)
    if len(seen) > 1 and 2 * repeated > len(labels) and all(len(classes) == 1 for classes in seen.values()):
        raise RefusedError(
            f"{path}: column {name} leaks the label: each of its values has one label; leave it out "
            "with dataset.drop"
        )


def _fitted(
    params: DatasetParams, rows: Mapping[str, range], labels: np.ndarray, persons: np.ndarray | None
) -> np.ndarray:
    """The rows whose means, medians and categories the others get."""
    if params.fit_split is None:
        return splits.membership(params, rows, labels, persons).member
    one_of("dataset.fit_split", params.fit_split, rows)
    return np.array(rows[params.fit_split])


def _check_kinds(columns: Mapping[str, np.ndarray], fitted: np.ndarray, path: Path) -> None:
    """Refuse a column that is of texts through other rows alone: one member's would change its encoding."""
    from pyarrow import csv

    missing = {None, *csv.ConvertOptions().null_values}  # in a column of texts, each is a text
    for name, values in columns.items():
        known = [value for value in values[fitted] if value not in missing]
        if values.dtype == object and known and all(map(_is_number, known)):
            raise RefusedError(
                f"{path}: column {name} holds numbers in dataset.fit_split and texts in other rows; leave it "
                "out with dataset.drop"
            )


def _constants(
    params: DatasetParams, columns: Mapping[str, np.ndarray], path: Path
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What encodes each column that `params` has constants for: values (n,) -> float32 (n, width)."""
    given = {"scales": list(params.scales), "categories": list(params.categories)}
    for key, names in given.items():
        for name in names:
            one_of(f"dataset.{key}: {path}: column", name, columns)
            if (columns[name].dtype == object) != (key == "categories"):
                held = "texts" if columns[name].dtype == object else "numbers"
                raise RefusedError(f"dataset.{key}: {path}: column {name} holds {held}")
    rest = [name for name in columns if name not in params.scales | params.categories]
    if rest and any(given.values()) and params.fit_split is None:
        raise RefusedError(
            f"{path}: column {rest[0]} has no constant, allowed: dataset.scales or dataset.categories for "
            "all columns or for none, or a dataset.fit_split for the others"
        )
    return {name: partial(_scaled, scale) for name, scale in params.scales.items()} | {
        name: partial(_one_hot, texts) for name, texts in params.categories.items()
    }


def _scaled(scale: Sequence[float], values: np.ndarray) -> np.ndarray:
    mean, deviation = map(float, scale)
    return ((np.where(np.isnan(values), mean, values) - mean) / deviation).astype(np.float32)[:, np.newaxis]


def _one_hot(texts: Sequence[str], values: np.ndarray) -> np.ndarray:
    return (values[:, np.newaxis] == np.array(texts, object)).astype(np.float32)


def _encoded(name: str, values: np.ndarray, fitted: np.ndarray, path: Path) -> np.ndarray:
    """float32 (n, width) by transformers that are fitted on some rows."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    column = values[:, np.newaxis]
    if values.dtype == object:
        column = np.array([["missing" if value is None else f"={value}"] for value in values])
        kinds = len(np.unique(column[fitted]))
        if kinds > MOST_CATEGORIES:
            raise RefusedError(
                f"{path}: column {name} has {kinds} different texts, allowed: {MOST_CATEGORIES}; leave it "
                "out with dataset.drop"
            )
        transform = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    else:
        if np.isnan(values[fitted]).all():
            raise RefusedError(
                f"{path}: column {name} has no value in the rows that it is scaled by; leave it out with "
                "dataset.drop"
            )
        transform = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    return transform.fit(column[fitted]).transform(column).astype(np.float32)
