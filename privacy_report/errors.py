"""The one exception that stands for a user's mistake, and its line: what was received, what is allowed."""

from __future__ import annotations

from collections.abc import Collection


class UserError(ValueError):
    """Something the user can put right; its text is one line: what was received, what is allowed.

    Command lines print it without a traceback and exit with 2 (see `privacy_report.pipeline.command.run`).
    """


def one_line(error: object) -> str:
    """The text of an error without its line breaks; the name of its type where it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


def type_and_text(error: BaseException) -> str:
    """An exception's type and text, without line breaks."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def refuse(key: str, got: object, allowed: str) -> UserError:
    """The error for an impossible value: key, what it got, what is allowed."""
    return UserError(f"{key}: got {got!r}, allowed: {allowed}")


def one_of(key: str, got: str, names: Collection[str]) -> None:
    """Refuse a name that is not among `names`."""
    if got not in names:
        raise refuse(key, got, ", ".join(sorted(names)))
