"""Read what the gate judges: the tables of the attack stage, the claimed epsilons, the variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from privacy_report.errors import UserError, one_of
from privacy_report.gate import twins
from privacy_report.gate.policy import Evidence
from privacy_report.pipeline import claim
from privacy_report.pipeline.claim import Claim
from privacy_report.pipeline.files import read_json
from privacy_report.pipeline.tables import Row, read_rows


def read_variants(path: Path | str = "params.yaml") -> dict[str, dict[str, Any]]:
    """Variant name -> its section, in the order of params.yaml."""
    try:
        sections = yaml.safe_load(Path(path).read_bytes())["variants"]
        return {str(name): dict(values or {}) for name, values in sections.items()}
    except (FileNotFoundError, KeyError, TypeError, AttributeError, ValueError, yaml.YAMLError):
        raise UserError(f"{path}: needs a section `variants`; `python -m stages.compose` writes it") from None


def variant_names(path: Path | str = "params.yaml") -> list[str]:
    """The variants' names, in the order of params.yaml."""
    return list(read_variants(path))


def public_seed(variant: str, path: Path | str = "params.yaml") -> bool:
    """Whether the noise of a private variant's training comes from the seed in params.yaml."""
    privacy = read_variants(path).get(variant, {}).get("privacy")
    return isinstance(privacy, dict) and bool(privacy) and privacy.get("seed") != "secret"


def read_evidence(variant: str, root: Path = Path()) -> Evidence:
    """All that the gate knows of a variant, its audit twins' canaries included.

    root: where params.yaml and data/ are. UserError for an unknown variant, and for a table that is missing
    or damaged.
    """
    variants = read_variants(root / "params.yaml")
    one_of("variant", variant, variants)
    twin = twins.twin_of(variant, variants)
    return Evidence(
        read_rows(root / f"data/attack/{variant}/halves.csv"),
        read_rows(root / f"data/attack/{variant}/privacy.csv"),
        read_claim(variant, root),
        read_references(variant, root),
        public_seed(variant, root / "params.yaml"),
        twins.canary_rows(twin, root) if twin else [],
        twins.read_one_run(twin, root),
        twins.is_twin(variant, variants),
        twins.read_one_run(twins.twin_of(variant, variants, twins.GRADIENTS), root),
        read_exposed(variant, root),
    )


def read_claim(variant: str, root: Path = Path()) -> Claim | None:
    """What a private variant claims (data/train/<variant>/claim.json); None without differential privacy."""
    return claim.read(claim.path_of(variant, root / claim.FOLDER))


def read_exposed(variant: str, root: Path = Path()) -> list[Row]:
    """The rows of record_auc.csv; none where stage attack wrote no such file."""
    path = root / f"data/attack/{variant}/record_auc.csv"
    return read_rows(path) if path.is_file() else []


def read_references(variant: str, root: Path = Path()) -> dict[int, int]:
    """Epoch -> how many reference models there are (data/attack/<variant>/references.json)."""
    path = root / f"data/attack/{variant}/references.json"
    try:
        facts = read_json(path)
        models = int(facts["models"])
        return {int(epoch): models for epoch in (facts["chosen_epochs"] if models else ())}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise UserError(f"{path}: missing or damaged; `dvc repro attack@{variant}` writes it") from None
