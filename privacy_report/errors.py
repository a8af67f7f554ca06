"""The one exception that stands for a user's mistake."""


class UserError(ValueError):
    """Something the user can put right; its text is one line: what was received, what is allowed."""
