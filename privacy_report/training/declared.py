"""That DVC sees a user's own code change: it is in the folder that dvc.yaml declares, or installed."""

from __future__ import annotations

from pathlib import Path

from privacy_report.errors import UserError
from privacy_report.pipeline.code import code_of, own_folder
from privacy_report.training.schema import Variant

OWN = Path("nets")
"""The folder of a user's code that dvc.yaml declares."""


def check_declared(config: Variant) -> None:
    """Refuse a user's own module, and what it imports, where DVC does not see it change."""
    for key, path in ((key, component.path) for key, component in config.components.items()):
        folder = own_folder(path)
        if folder and folder.resolve() != OWN.resolve():
            raise UserError(
                f"{key}.path: {path} is in {folder}, allowed: a module in {OWN}/, which dvc.yaml declares, "
                "or one that is installed"
            )
        for file in code_of(chosen=[path]).own.values() if folder else ():
            if not file.resolve().is_relative_to(OWN.resolve()):
                raise UserError(
                    f"{key}.path: {path} imports {file}, allowed: modules in {OWN}/, which dvc.yaml "
                    "declares, and those that are installed"
                )
