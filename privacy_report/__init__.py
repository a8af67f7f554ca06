"""Membership-inference audits of model training: datasets, training, attacks, a gate and a report."""


def __dir__() -> list[str]:
    """The names for users: each is imported when it is first asked for; `__init__.pyi` has their types."""
    return ["Audit", "audit", "audit_file", "score"]


def __getattr__(name: str) -> object:
    """A name for users. The library itself never asks for one: see `pipeline/code.py`."""
    if name not in __dir__():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}, it has {__dir__()}")
    from privacy_report.audits import api

    return getattr(api, name)
