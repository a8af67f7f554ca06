"""The one exception that stands for a user's mistake, and how another's text becomes part of its line."""


class UserError(ValueError):
    """Something the user can put right; its text is one line: what was received, what is allowed.

    Command lines print it without a traceback and exit with 2 (see `privacy_report.pipeline.command.run`).
    """


def one_line(error: object) -> str:
    """The text of an error without its line breaks; the name of its type where it has no text."""
    return " ".join(str(error).split()) or type(error).__name__
