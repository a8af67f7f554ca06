"""The rules of the house: who may import whom, and that DVC is told of all that a stage imports."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sandbox import ROOT

STAGES = ("compose", "prepare", "train", "score", "attack", "gate", "report")
GRAPH = yaml.safe_load((ROOT / "dvc.yaml").read_text())


def module_files(module: str) -> list[Path]:
    """The file of a project module, with the __init__ files that importing it runs."""
    parts = module.split(".")
    path = ROOT.joinpath(*parts)
    found = [path.with_suffix(".py")] if path.with_suffix(".py").exists() else []
    return found + [
        ROOT.joinpath(*parts[:i], "__init__.py")
        for i in range(2, len(parts) + 1)
        if ROOT.joinpath(*parts[:i], "__init__.py").exists()
    ]


def imports(path: Path) -> set[Path]:
    """The project files that a file imports, anywhere in it."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.split(".")[0] == "stages":
                found |= set(module_files(name))
    return found


def closure(stage: str) -> set[Path]:
    """All project files that running a stage may import, its own included."""
    entry = ROOT / "stages" / f"{stage}.py"
    todo = {entry} if entry.exists() else {ROOT / "stages" / stage / "__main__.py"}
    seen: set[Path] = set()
    while todo:
        path = todo.pop()
        seen.add(path)
        todo |= imports(path) - seen
    return seen


@pytest.mark.parametrize("stage", STAGES)
def test_deps_cover_all_that_a_stage_imports(stage):
    declared = [ROOT / dep for dep in GRAPH["stages"][stage]["deps"] if "$" not in dep]
    for path in closure(stage):
        if path.name == "__init__.py" and not any(node for node in ast.parse(path.read_text()).body[1:]):
            continue  # only a docstring
        assert any(path == dep or dep in path.parents for dep in declared), (
            f"{stage} imports {path}, undeclared"
        )


@pytest.mark.parametrize("stage", STAGES[1:])
def test_no_stage_folder_imports_another(stage):
    for path in (ROOT / "stages" / stage).rglob("*.py"):
        for other in imports(path):
            folder = other.relative_to(ROOT / "stages").parts
            assert len(folder) == 1 or folder[0] == stage, f"{path} imports {other}"


@pytest.mark.parametrize(
    "module",
    [
        "stages.attack",
        "stages.gate",
        "stages.report",
        "privacy_report.commands.audit",
        "stages.compose",
    ],
)
def test_light_stages_do_not_import_tensorflow(module):
    code = f"import sys, {module}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_committed_params_are_what_conf_composes():
    from stages.compose import composed

    assert (ROOT / "params.yaml").read_text() == composed(ROOT / "conf")


def test_committed_params_are_the_codelab():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert params["dataset"]["name"] == "cifar10"
    for name, label, num_conv in (("cnn2", "2 Layers", 2), ("cnn3", "3 Layers", 3)):
        variant = params["variants"][name]
        assert (variant["label"], variant["num_conv"]) == (label, num_conv)
        assert (variant["batch_size"], variant["learning_rate"], variant["activation"]) == (50, 0.001, "relu")
        assert (variant["epochs"], variant["epochs_per_report"], variant["privacy"]) == (50, 2, None)


@pytest.mark.parametrize("name", ["metrics", "plots", "conf"])
def test_result_folders_are_not_packages(name):
    assert not list((ROOT / name).rglob("__init__.py"))
