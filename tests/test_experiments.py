"""conf/experiment: each composes as docs/experiments.md types it, here and in the quickstart's copy."""

import re
import subprocess

import pytest
import yaml
from sandbox import ROOT

from privacy_report.composition import check_params, composed

NAMES = sorted(path.stem for path in (ROOT / "conf/experiment").glob("*.yaml"))
COMPARED = ["remedies", "seeds"]
COMMANDS = (ROOT / "docs/experiments.md").read_text()


def chosen(name: str) -> list[str]:
    """The variants that the experiment's command sets; none where it keeps those of conf/config.yaml."""
    assert f"-S experiment={name}" in COMMANDS
    found = re.search(rf"variant=\[(\S+)\]' -S experiment={name}\b", COMMANDS)
    return found[1].split(",") if found else []


def references_of(params):
    """How many reference models the variants have, each number once."""
    reference = params["reference"]
    return {reference["per_variant"].get(variant, reference["models"]) for variant in params["variants"]}


def params_of(conf, name):
    """What is composed where the experiment and its variants are set."""
    path, variants = conf / "conf/config.yaml", chosen(name)
    text = path.read_text().replace("experiment: null", f"experiment: {name}")
    if variants:
        text = re.sub(r"variant: \[.*?\]", f"variant: [{', '.join(variants)}]", text)
    path.write_text(text)
    params = yaml.safe_load(composed(conf / "conf"))
    check_params(params)
    assert not variants or list(params["variants"]) == variants
    return params


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_composes_with_the_variants_of_its_command(name, conf):
    assert params_of(conf, name) != yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_the_quickstart_has_every_experiment_too(name, conf):
    subprocess.run(["git", "apply", str(ROOT / "quickstart.patch")], cwd=conf, check=True)
    params = params_of(conf, name)
    assert params["dataset"]["name"] == "digits"
    assert all(variant["batch_size"] < 400 for variant in params["variants"].values())  # of 898 members
    if name in COMPARED:
        assert len(references_of(params)) == 1


@pytest.mark.parametrize("name", COMPARED)
def test_variants_that_are_compared_meet_as_many_references(name, conf):
    """And the experiment's comment has the variants of its command."""
    params = params_of(conf, name)
    assert references_of(params) == {4}
    comment = (ROOT / f"conf/experiment/{name}.yaml").read_text().replace("\n#", "")
    said = re.search(r"variant: (\[.*?\])", comment)
    assert said
    assert yaml.safe_load(said[1]) == chosen(name)


def test_the_debug_experiment_is_short(conf):
    params = params_of(conf, "debug")
    assert {variant["epochs"] for variant in params["variants"].values()} == {1}
    assert params["dataset"]["name"] == "digits"
    assert params["reference"]["models"] == 0 == max(params["reference"]["per_variant"].values())
