"""The rules of the house: who may import whom, and that DVC is told of all that a stage imports."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from sandbox import ROOT

from privacy_report.__main__ import COMMANDS
from privacy_report.composition import composed

GRAPH = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = tuple(GRAPH["stages"])
ROOMS = {
    "pipeline": set(),
    "datasets": {"pipeline"},
    "training": {"pipeline", "datasets", "attack"},
    "attack": {"pipeline"},
    "gate": {"pipeline"},
    "report": {"pipeline", "gate"},
    "audits": {"pipeline", "attack", "gate", "report"},
    "commands": {"pipeline", "attack", "gate", "audits", "report", "training"},
}
"""Room of the library -> the other rooms that it knows."""
BESIDE = {"commands": {"privacy_report.keras_callback"}}
"""Room -> modules next to the rooms that it knows."""
LIGHT = [f"stages.{name}" for name in STAGES] + [f"privacy_report.commands.{name}" for name in COMMANDS]


def name_of(path: Path) -> str:
    """Dotted name of a project file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for top in ("stages", "privacy_report") for path in (ROOT / top).rglob("*.py")}
"""Module -> its file."""


@cache
def imports(module: str) -> frozenset[str]:
    """The project modules that a module imports, anywhere in it.

    The package's own `__init__` imports for users alone: `code_of` refuses the key of whoever else asks it.
    """
    names = set[str]()
    if module == "privacy_report":
        return frozenset()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names & FILES.keys())


def closure(module: str) -> set[str]:
    """All project modules that running a module may import: its own packages, too."""
    todo, seen = {module}, set()
    while todo:
        name = todo.pop()
        seen.add(name)
        packages = {name.rsplit(".", i)[0] for i in range(1, name.count(".") + 1)}
        todo |= (imports(name) | packages) - seen
    return seen


def room(module: str) -> str:
    """The folder of the library that a module is in, "" for one that is in none."""
    top, *inner = FILES[module].relative_to(ROOT).parts
    return inner[0] if top == "privacy_report" and len(inner) > 1 else ""


def runs_nothing(path: Path) -> bool:
    """Whether importing a package's `__init__` does no more than to define functions."""
    body = ast.parse(path.read_text()).body[1:]
    return all(isinstance(node, ast.FunctionDef) and not node.decorator_list for node in body)


def texts_without_encoding(code: bytes | str) -> list[int]:
    """Lines that read or write a text, or start a process for its text, in the locale's encoding."""
    lines = []
    for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        mode = given.get("mode", call.args[1] if len(call.args) > 1 else None)
        opens = name == "fdopen" or (name == "open" and isinstance(call.func, ast.Name))
        wants = (
            (name == "read_text" and not call.args)
            or (name == "write_text" and len(call.args) < 2)
            or (opens and "b" not in str(getattr(mode, "value", "")))
            or bool({"text", "universal_newlines"} & set(given))
        )
        if wants and "encoding" not in given:
            lines.append(call.lineno)
    return lines


@pytest.mark.parametrize(
    ("call", "mended"),
    [
        ("open(p)", "open(p, encoding='utf-8')"),
        ("p.read_text()", "p.read_text(encoding='utf-8')"),
        ("p.write_text(t)", "p.write_text(t, 'utf-8')"),
        ("os.fdopen(f, 'w')", "os.fdopen(f, 'w', encoding='utf-8')"),
        ("run(c, text=True)", "run(c, encoding='utf-8')"),
    ],
)
def test_texts_in_the_encoding_of_the_locale_are_found(call, mended):
    assert texts_without_encoding(call) == [1]
    assert texts_without_encoding(mended) == []


def test_bytes_and_files_of_other_kinds_need_no_encoding():
    assert (
        texts_without_encoding("open(p, 'rb'); os.fdopen(f, mode='wb'); Image.open(p); p.read_bytes()") == []
    )


def test_texts_are_utf_8_whatever_the_locale():
    wrong = {name: texts_without_encoding(path.read_bytes()) for name, path in FILES.items()}
    assert {name: lines for name, lines in wrong.items() if lines} == {}


@pytest.mark.parametrize("stage", STAGES)
def test_deps_cover_all_that_a_stage_imports(stage):
    declared = [ROOT / dep for dep in GRAPH["stages"][stage]["deps"] if "$" not in dep]
    paths = {FILES[module] for module in closure(f"stages.{stage}")}
    assert len(paths) > 5
    for path in paths:
        if path.name == "__init__.py" and runs_nothing(path):
            continue
        assert any(path == dep or dep in path.parents for dep in declared), (
            f"{stage} imports {path}, undeclared"
        )


@pytest.mark.parametrize("stage", STAGES)
def test_deps_that_are_code_exist_and_are_imported(stage):
    """A stage does not rerun for code that it does not use."""
    paths = {FILES[module] for module in closure(f"stages.{stage}")}
    for dep in GRAPH["stages"][stage]["deps"]:
        if dep.startswith(("stages/", "privacy_report/")):
            source = ROOT / dep
            assert source.exists(), f"{stage}: no {dep}"
            assert any(path == source or source in path.parents for path in paths), f"{stage} needs no {dep}"


def test_stages_use_the_library_and_nothing_uses_a_stage():
    for module in FILES:
        for other in imports(module):
            assert not other.startswith("stages."), f"{module} imports {other}"


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_knows_only_the_rooms_below_it(name):
    modules = [module for module in FILES if room(module) == name]
    assert modules
    for module in modules:
        for other in imports(module):
            common = other in {"privacy_report", "privacy_report.errors", *BESIDE.get(name, ())}
            assert common or room(other) in {name, *ROOMS[name]}, f"{module} imports {other}"


def test_nobody_in_the_library_asks_the_package_for_what_it_has_for_users():
    asking = [name for name in FILES if name != "privacy_report" and "privacy_report" in imports(name)]
    assert asking == []


def test_all_rooms_have_a_rule():
    assert {room(module) for module in FILES} - {""} == set(ROOMS)
    assert set(ROOMS) == {path.name for path in (ROOT / "privacy_report").iterdir() if path.is_dir()} - {
        "__pycache__"
    }


def test_no_circle_of_imports():
    def visit(module, path):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in imports(module):
                visit(other, [*path, module])
            done.add(module)

    done: set[str] = set()
    for module in FILES:
        visit(module, [])


@pytest.mark.parametrize(
    ("names", "heavy"),
    [
        (LIGHT, ["tensorflow", "keras"]),  # three to seven seconds
        ([f"stages.{name}" for name in STAGES if name != "attack"], ["scipy.stats", "sklearn"]),
    ],
    ids=["all until they have work", "stages that do not attack"],
)
def test_modules_start_without_the_libraries_that_take_long(names, heavy):
    code = (
        "import importlib, sys\n"
        f"for name in {names}:\n"
        "    importlib.import_module(name)\n"
        f"    for heavy in {heavy}:\n"
        "        assert heavy not in sys.modules, f'{name} imports {heavy}'"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_stage_has_its_module_and_runs_it():
    assert {path.stem for path in (ROOT / "stages").glob("[!_]*.py")} == set(STAGES)
    for name in STAGES:
        assert GRAPH["stages"][name]["cmd"].split()[:3] == ["python", "-m", f"stages.{name}"]


def test_stages_and_models_say_what_they_are():
    """`dvc stage list` reads like a table of contents, and fits a terminal."""
    said = [(name, item.get("desc", "")) for name, item in {**GRAPH["stages"], **GRAPH["artifacts"]}.items()]
    assert [name for name, text in said if not 10 < len(text) < 80] == []
    assert all(item["labels"] for item in GRAPH["artifacts"].values())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_module(name):
    assert f"privacy_report.commands.{name}" in FILES


def test_every_variant_is_in_dvcs_model_registry():
    variants = yaml.safe_load((ROOT / "params.yaml").read_text())["variants"]
    names = [name for name, section in variants.items() if not section.get("canaries")]
    paths = {name: item["path"] for name, item in GRAPH["artifacts"].items()}
    assert paths == {name.replace("_", "-"): f"models/{name}" for name in names}


def test_committed_params_are_what_conf_composes():
    assert (ROOT / "params.yaml").read_text() == composed(ROOT / "conf")


def test_committed_params_are_the_codelab():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert params["dataset"]["name"] == "cifar10"
    for name, label, num_conv in (("cnn2", "2 Layers", 2), ("cnn3", "3 Layers", 3)):
        variant = params["variants"][name]
        assert (variant["label"], variant["model"]["settings"]["num_conv"]) == (label, num_conv)
        assert (variant["batch_size"], variant["learning_rate"]) == (50, 0.001)
        assert (variant["epochs"], variant["epochs_per_report"], variant["privacy"]) == (50, 2, None)


@pytest.mark.parametrize("name", ["metrics", "plots", "conf"])
def test_result_folders_are_not_packages(name):
    assert not list((ROOT / name).rglob("__init__.py"))
