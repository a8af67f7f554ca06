"""Which release of this package is running."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The version that was installed; "not installed" where the code runs from a folder alone."""
    try:
        return metadata.version("privacy-report")
    except metadata.PackageNotFoundError:
        return "not installed"
