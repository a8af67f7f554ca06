"""What moves the keys of finished work, over a copy of the library.

Keys are computed from source that is read, not run; no test here needs TensorFlow.
"""

from __future__ import annotations

import ast
import importlib.metadata
import platform
from dataclasses import asdict, replace

import pytest
from library_keys import (
    ATTACKS,
    DEFAULT,
    KEYS,
    ORDINARY,
    PARITY,
    PRIVATE,
    TRAINED,
    attack,
    edit,
    facts,
    keys,
    reference,
    score,
    train,
)

from privacy_report.attack import checkpoint, variant
from privacy_report.attack.schema import Estimator
from privacy_report.attack.slices import Group
from privacy_report.pipeline import source
from privacy_report.pipeline.component import Component
from privacy_report.training import run
from privacy_report.training.schema import ADAM, SMALL_CNN, Privacy


def places(name, monkeypatch):
    """(module, name) of all definitions, and of imports' effects, that a key is made of."""
    walks = []
    code, reached = source.code, source._reached

    def started(*roots, **more):
        walks.append(set())
        return code(*roots, **more)

    def noted(module, name, ours):
        text, targets = reached(module, name, ours)
        if text:
            walks[-1].add((module, name))
        return text, targets

    with monkeypatch.context() as patch:
        patch.setattr(source, "code", started)
        patch.setattr(source, "_reached", noted)
        KEYS[name]()
    return sorted(walks[0] if name == "risks of examples" else walks[-1])


def statements_of(tree, name):
    """The statements at the top of a module that define a name; for "import" those that are none."""
    for node in tree.body:
        bound = {getattr(node, "name", None)}
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound |= {one.id for part in targets for one in ast.walk(part) if isinstance(one, ast.Name)}
        does = isinstance(node, ast.With | ast.For | ast.If | ast.Expr)
        if name in bound or (does and name == source.EFFECTS):
            yield node


def unseen(statement):
    """The nodes of a statement that no key holds: docstrings, annotations, what a raise says."""
    for node in ast.walk(statement):
        parts = [getattr(node, name, None) for name in ("annotation", "returns")]
        if isinstance(node, ast.Raise):
            parts.append(node)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            parts.append(node)
        for part in filter(None, parts):
            yield from ast.walk(part)


def changed(node):
    """Change one literal, operator or name; False for a node that is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str):
        if isinstance(node.value, bool | str):
            node.value = not node.value if isinstance(node.value, bool) else f"{node.value}1"
        else:
            node.value = 2 * node.value + 1
    elif isinstance(node, ast.Compare):
        node.ops[0] = ast.Is() if not isinstance(node.ops[0], ast.Is) else ast.IsNot()
    elif isinstance(node, ast.BinOp):
        node.op = ast.FloorDiv() if not isinstance(node.op, ast.FloorDiv) else ast.Mod()
    elif isinstance(node, ast.Name):
        node.id += "_other"
    else:
        return False
    return True


def mutant(text, name):
    """A module's text with a literal, operator or else a name of one definition changed; None without any."""
    tree = ast.parse(text)
    for statement in statements_of(tree, name):
        skipped = set(map(id, unseen(statement)))
        nodes = [node for node in ast.walk(statement) if id(node) not in skipped]
        for node in sorted(nodes, key=lambda node: isinstance(node, ast.Name)):
            if changed(node):
                return ast.unparse(tree)
    return None


@pytest.mark.parametrize("name", KEYS)
def test_a_change_in_any_definition_that_a_result_passes_through_moves_its_key(
    name, library, unchanged, monkeypatch
):
    before = unchanged[name]
    found = places(name, monkeypatch)
    assert len(found) >= 5
    nothing = set()
    for module, definition in found:
        path = source._path(module)
        text = path.read_text()
        if (other := mutant(text, definition)) is None:
            nothing.add(definition)
            continue
        path.write_text(other)
        assert KEYS[name]() != before, f"{module}.{definition}"
        path.write_text(text)
    assert KEYS[name]() == before
    assert nothing <= {"_refuse"}, "functions that only raise"


NETS = {"train", "train private", "reference"}
MEASURED = set(ATTACKS) - {"risks of examples"}

# What results pass through, by hand: the walk above cannot miss what it does not reach.
PASSED = [
    ("training/sampling.py", "shuffled_batches", {"train", "reference"}),
    ("training/sampling.py", "poisson_batches", {"train private"}),
    ("training/trainer.py", "_int_seed", NETS),
    ("training/state.py", "to_arrays", NETS),
    ("training/state.py", "restore", NETS),
    ("training/epochs.py", "mean_gradient", {"train", "reference"}),
    ("training/epochs.py", "epoch_runner", NETS),
    ("training/models.py", "small_cnn", {*NETS, "score"}),
    ("training/models.py", "_seen", {*NETS, "score"}),
    ("training/models.py", "build", {*NETS, "score"}),
    ("training/optimizers.py", "build", NETS),
    ("training/state.py", "load_weights", {"score"}),
    ("pipeline/component.py", "make", {*NETS, "score"}),
    ("training/backend.py", "PREDICT_BATCH", {*NETS, "score"}),
    ("training/backend.py", "import", {*NETS, "score"}),
    ("training/accounting.py", "noise_for", {"train private"}),
    ("training/private_gradient.py", "noise", {"train private"}),
    ("training/run.py", "make_trainer", NETS),
    ("training/data.py", "of_variant", {"train", "train private"}),
    ("training/data.py", "of_references", {"reference"}),
    ("training/references.py", "advance", {"reference"}),
    ("training/scoring.py", "Scorer", {"score"}),
    ("pipeline/outputs.py", "output_arrays", {"score"}),
    ("pipeline/outputs.py", "Outputs", {"score", *ATTACKS}),
    ("pipeline/outputs.py", "Logarithms", {"score", *ATTACKS}),
    ("pipeline/mapped.py", "_array", set(ATTACKS)),
    ("pipeline/blocks.py", "blocks", {"score", *ATTACKS}),
    ("attack/rowwise.py", "MOST", set(ATTACKS)),
    ("attack/signals.py", "Examples", set(ATTACKS)),
    ("attack/signals.py", "negative_loss", {"threshold"}),
    ("attack/findings.py", "SELECTS", MEASURED),
    ("attack/findings.py", "attack_halves", MEASURED),
    ("attack/slices.py", "_deciles", MEASURED),
    ("attack/intervals.py", "delong_variance", MEASURED),
    ("attack/trained.py", "blocks", {"logistic"}),
    ("attack/evidence.py", "early_phi", {"trajectory"}),
    ("attack/evidence.py", "ReferenceFiles", {"lira"}),
    ("attack/exposure.py", "BINS", {"risks of examples"}),
    ("attack/parity.py", "LOGISTIC_GRID", {"logistic, parity"}),
    ("attack/parity.py", "ParityExamples", {"threshold, parity", "logistic, parity"}),
]


@pytest.mark.parametrize(("path", "definition", "expected"), PASSED)
def test_a_change_moves_the_keys_of_what_passes_through_it(path, definition, expected, library, unchanged):
    (library / path).write_text(mutant((library / path).read_text(), definition))
    assert {name for name, key in keys().items() if key != unchanged[name]} == expected


OTHER = {
    "model": Component(SMALL_CNN, {"filters": 16}),
    "optimizer": Component(ADAM, {"beta_1": 0.8}),
    "schedule": Component("keras.optimizers.schedules.CosineDecay", {"decay_steps": 10}),
    "batch_size": 25,
    "learning_rate": 0.01,
    "seed": 1,
    "privacy": Privacy(noise_multiplier=2.0),
}


def test_each_parameter_of_training_moves_its_key():
    read = set(asdict(ORDINARY)) - set(run.NO_PART)
    assert read == set(OTHER)
    for name, value in OTHER.items():
        assert train(replace(ORDINARY, **{name: value})) != train(), name
    privacy = {"noise_multiplier": 2.0, "l2_norm_clip": 0.5, "delta": 1e-6, "seed": "secret"}
    assert set(asdict(PRIVATE.privacy)) == {*privacy, "target_epsilon"}
    for name, value in privacy.items():
        changed = replace(PRIVATE, privacy=replace(PRIVATE.privacy, **{name: value}))
        assert train(changed) != train(PRIVATE), name


def test_a_users_own_module_is_in_the_keys_of_its_variants_alone(tmp_path, read_from):
    path = tmp_path / "my_nets.py"
    path.write_text("def width():\n    return 2\n\n\ndef net(shape, n_classes):\n    return width()\n")
    read_from(tmp_path)
    mine = replace(ORDINARY, model=Component("my_nets.net"))

    def found(config):
        return train(config), reference(config), score(model=config.model)

    before, others = found(mine), found(ORDINARY)
    path.write_text(path.read_text() + "# a comment\n\n\ndef another():\n    return 3\n")
    assert found(mine) == before
    edit(path, "return 2", "return 20")
    assert all(new != old for new, old in zip(found(mine), before, strict=True))
    assert found(ORDINARY) == others


def test_name_and_data_move_the_keys_of_training_and_scoring():
    found = [train(), train(name="cnn3"), train(data="other"), train(PRIVATE), score(), score(data="other")]
    found += [reference(), reference(data="other"), reference(seed=1)]
    assert len(set(found)) == len(found)


def test_each_parameter_of_an_attack_moves_its_key():
    before = {name: attack(name) for name in ("threshold", "logistic", "")}
    swapped = DEFAULT.estimators | {"logistic": DEFAULT.estimators["knn"]}
    for changes, moved in (
        ({"slices": ["entire"]}, {"threshold", "logistic"}),
        ({"delta": 1e-6}, {"threshold", "logistic"}),
        ({"seed": 1}, {"threshold", "logistic", ""}),
        ({"folds": 4}, {"logistic"}),
        ({"estimators": swapped}, {"logistic"}),
    ):
        after = {name: attack(name, replace(DEFAULT, **changes)) for name in before}
        assert {name for name in before if after[name] != before[name]} == moved, changes
    settings = replace(DEFAULT.estimators["logistic"], settings={"C": 2.0})
    other = replace(DEFAULT, estimators=DEFAULT.estimators | {"logistic": settings})
    assert attack("logistic", other) != before["logistic"]
    assert attack("threshold", PARITY) != before["threshold"]


def test_the_positions_of_a_group_move_the_keys_of_attacks():
    found = [attack("threshold", groups=groups) for groups in (None, {"a": Group((1,))}, {"a": Group((2,))})]
    assert len(set(found)) == 3


def test_a_users_own_estimator_is_followed_and_another_librarys_version_counts(library, monkeypatch):
    (library.parent / "mine.py").write_text("class Own:\n    depth = 1\n")
    own = replace(DEFAULT, attacks=["own"], estimators={"own": Estimator("mine.Own")})
    before = attack("own", own)
    (library.parent / "mine.py").write_text("class Own:\n    depth = 1 + 1\n")
    assert attack("own", own) != before
    theirs = replace(DEFAULT, attacks=["net"], estimators={"net": Estimator("hypothesis.Net")})
    assert "hypothesis" in checkpoint.inputs(theirs, None)["net"]["versions"]
    assert "hypothesis" not in checkpoint.inputs(DEFAULT, None)["logistic"]["versions"]


LIBRARIES = {
    "tensorflow": {"train", "train private", "reference", "score"},
    "keras": {"train", "train private", "reference", "score"},
    "numpy": set(KEYS),
    "dp_accounting": {"train private"},
    "scikit-learn": {"logistic", "logistic, parity"},
    "scipy": {"train private", *ATTACKS} - {"risks of examples"},
}


@pytest.mark.parametrize("distribution", LIBRARIES)
def test_the_version_of_a_library_moves_the_keys_of_what_uses_it(distribution, unchanged, monkeypatch):
    before = keys()
    real = importlib.metadata.version
    monkeypatch.setattr(source, "version", lambda name: "0.0" if name == distribution else real(name))
    moved = {name for name, key in keys().items() if key != before[name]}
    assert moved == LIBRARIES[distribution]


def test_pythons_version_moves_all_keys(monkeypatch):
    before = keys()
    monkeypatch.setattr(platform, "python_version", lambda: "3.99.0")
    after = keys()
    assert all(after[name] != before[name] for name in KEYS)


@pytest.mark.parametrize(
    ("variable", "moved"),
    [
        ("ONEDNN_MAX_CPU_ISA", TRAINED),
        ("DNNL_MAX_CPU_ISA", TRAINED),
        ("ONEDNN_DEFAULT_FPMATH_MODE", TRAINED),
        ("OPENBLAS_CORETYPE", tuple(KEYS)),
        ("NPY_DISABLE_CPU_FEATURES", tuple(KEYS)),
        ("TF_CPP_MIN_LOG_LEVEL", ()),
        ("HOME", ()),
    ],
)
def test_variables_that_change_bits_move_the_keys_of_what_they_change(variable, moved, monkeypatch):
    monkeypatch.delenv(variable, raising=False)
    before = keys()
    monkeypatch.setenv(variable, "AVX2")
    after = keys()
    assert {name for name in KEYS if after[name] != before[name]} == set(moved)


def test_facts_of_references_hold_the_code_that_reads_them(library, tmp_path):
    roots = (variant.CHOOSE, variant.EXPOSED, variant.RECIPE)
    before = {root: facts(root, tmp_path / "scores") for root in roots}
    assert len(set(before.values())) == 3
    edit(library / "attack/evidence.py", "return References(np.load(", "return References(1 * np.load(")
    assert all(facts(root, tmp_path / "scores") != before[root] for root in roots)
