"""What leaves the keys of finished work alone, over a copy of the library.

Keys are computed from source that is read, not run; no test here needs TensorFlow.
"""

from __future__ import annotations

import ast
from dataclasses import replace

import numpy as np
import pytest
from library_keys import (
    DEFAULT,
    ORDINARY,
    PRIVATE,
    STATE,
    edit,
    keys,
    score,
    train,
)

from privacy_report.attack import checkpoint
from privacy_report.attack.schema import Estimator
from privacy_report.training.schema import Privacy


class NewDocstrings(ast.NodeTransformer):
    """Another docstring for every module, class and function, whether it had one or not."""

    def visit(self, node):
        self.generic_visit(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
            node.body.insert(0, ast.Expr(ast.Constant("Another one.")))
        return node


class NoAnnotations(ast.NodeTransformer):
    """No function says of what type its arguments and its result are."""

    def visit_FunctionDef(self, node):
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node):
        node.annotation = None
        return node


@pytest.mark.parametrize("change", [ast.NodeTransformer, NewDocstrings, NoAnnotations])
def test_comments_format_docstrings_and_annotations_are_in_no_key(change, library, unchanged):
    for path in library.rglob("*.py"):
        tree = change().visit(ast.parse(path.read_text()))
        path.write_text(ast.unparse(ast.fix_missing_locations(tree)) + "\n# a comment\n")
    assert keys() == unchanged


UNSEEN = (
    "__main__.py",
    "composition.py",
    "commands/audit.py",
    "datasets/sources.py",
    "gate/rules.py",
    "gate/schema.py",
    "pipeline/command.py",
    "pipeline/locks.py",
    "report/page.py",
    "report/figures.py",
)


@pytest.mark.parametrize("path", UNSEEN)
def test_code_that_no_result_passes_through_is_in_no_key(path, library, unchanged):
    with open(library / path, "a") as file:
        file.write("\nimport os\nos.environ['X'] = '1'\n\n\ndef another():\n    return 1\n")
    assert keys() == unchanged


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("errors.py", "class UserError(ValueError):", "X = 1\n\n\nclass UserError(ValueError):"),
        (
            "training/models.py",
            "KERNEL, POOL = 3, 2",
            "KERNEL, POOL = 3, 2\n\ndef wide(shape):\n    return 1\n",
        ),
        ("training/models.py", "for images of {shape[0]}", "for pictures of {shape[0]}"),
        ("training/state.py", "not a checkpoint, it has no", "no checkpoint, since it has no"),
        ("attack/registry.py", '"threshold": Attack', '"mine": Attack(OUTPUTS, "a.b"), "threshold": Attack'),
        ("attack/slices.py", "unknown kind of slice", "no kind of slice"),
        ("pipeline/params.py", "got {got!r}, allowed: {allowed}", "{got!r} is not among {allowed}"),
        ("pipeline/contract.py", '"running_loss",', '"running_loss",  # a mean'),
        ("pipeline/store.py", "UNFINISHED_SECONDS = 600", "UNFINISHED_SECONDS = 60"),
    ],
)
def test_a_new_model_a_new_attack_and_another_message_are_in_no_key(path, old, new, library, unchanged):
    edit(library / path, old, new)
    assert keys() == unchanged


@pytest.mark.parametrize("path", ["private.py", "private_gradient.py", "accounting.py", "isolation.py"])
def test_the_private_regime_is_in_the_keys_of_private_variants_alone(path, library, unchanged):
    with open(library / "training" / path, "a") as file:
        file.write("\nimport os\nos.environ['X'] = '1'\n")
    moved = {name for name, key in keys().items() if key != unchanged[name]}
    assert moved == {"train private"}


def test_a_file_added_to_conf_is_in_no_key(library, unchanged):
    (library.parent / "conf").mkdir()
    (library.parent / "conf/more.yaml").write_text("seed: 1\n")
    assert keys() == unchanged


@pytest.mark.parametrize("change", [{"label": "Other"}, {"epochs_per_report": 5}, {"epochs": 60}])
def test_what_no_epoch_depends_on_is_in_no_key_of_training(change):
    assert train(replace(ORDINARY, **change)) == train()
    assert train(replace(PRIVATE, **change)) == train(PRIVATE)
    solved = replace(PRIVATE, privacy=Privacy(target_epsilon=8.0))
    assert (train(replace(solved, **change)) == train(solved)) == ("epochs" not in change)


def test_an_attack_that_is_added_leaves_the_others_alone():
    more = replace(DEFAULT, attacks=["threshold_entropy", *DEFAULT.attacks, "knn"])
    before, after = (checkpoint.inputs(params, None) for params in (DEFAULT, more))
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"threshold_entropy", "knn"}


def test_an_estimator_that_no_attack_uses_is_in_no_key():
    extra = {"mine": Estimator("sklearn.naive_bayes.GaussianNB")}
    more = replace(DEFAULT, estimators=DEFAULT.estimators | extra)
    assert checkpoint.inputs(more, None) == checkpoint.inputs(DEFAULT, None)


def test_only_the_model_of_a_checkpoint_is_in_the_key_of_its_scores():
    assert score(state=STATE | {"optimizer/000": np.ones(3), "history/val_loss": np.ones(())}) == score()
    for change in ({"weights/000": np.ones(3)}, {"architecture": np.array("[]")}):
        assert score(state=STATE | change) != score()
