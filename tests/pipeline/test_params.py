"""Reading params.yaml: one line for whatever is wrong with it."""

import subprocess
import sys

import pytest
from sandbox import ROOT

from privacy_report.errors import UserError
from privacy_report.pipeline.params import load, load_each
from privacy_report.training.schema import Variant


@pytest.fixture
def params(tmp_path):
    """A function that writes a params.yaml and returns its path."""

    def write(text: str):
        (tmp_path / "params.yaml").write_text(text)
        return tmp_path / "params.yaml"

    return write


def test_a_section_becomes_its_schema(params):
    path = params("variants: {a: {label: A, epochs: 3, epochs_per_report: 1}}")
    assert load("variants.a", Variant, path) == Variant(label="A", epochs=3, epochs_per_report=1)


def test_each_name_of_a_section_becomes_the_schema(params):
    path = params("variants: {a: {label: A}, b: {label: B, epochs: 4}}")
    assert load_each("variants", Variant, path) == {
        name: load(f"variants.{name}", Variant, path) for name in "ab"
    }
    with pytest.raises(UserError, match=r"^variants\.b: must be a mapping with keys "):
        load_each("variants", Variant, params("variants: {a: {label: A}, b: 3}"))
    with pytest.raises(UserError, match=r"^variants: must be a mapping of names, got 3$"):
        load_each("variants", Variant, params("variants: 3"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("variants: {a: {label: A}}", r"variants: unknown name 'b', allowed: a$"),
        ("other: 1", r"unknown name 'variants', allowed: other$"),
        ("variants: {b: 3}", r"variants\.b: must be a mapping"),
        ("variants: {b: {}}", r"variants\.b\.label: missing"),
        ("variants: [", r"not YAML"),
    ],
)
def test_what_is_wrong_is_one_line(text, words, params):
    with pytest.raises(UserError, match=words) as error:
        load("variants.b", Variant, params(text))
    assert "\n" not in str(error.value)


def test_missing_file_says_who_writes_it(tmp_path):
    with pytest.raises(UserError, match=r"stages\.compose"):
        load("variants.b", Variant, tmp_path / "params.yaml")


def stage(name, *args):
    command = [sys.executable, "-m", f"stages.{name}", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["train", "score", "attack"])
def test_unknown_variant_is_one_line_and_exit_code_2(name):
    done = stage(name, "cnn9")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "cnn9" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        *(f"stages.{name}" for name in ("compose", "prepare", "train", "score", "attack", "gate", "report")),
        *(f"privacy_report {name}" for name in ("audit", "gate", "store")),
        "privacy_report",
    ],
)
def test_help_explains(command):
    done = subprocess.run(
        [sys.executable, "-m", *command.split(), "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "usage:" in done.stdout
    assert len(done.stdout) > 200
