"""The work of a small study, job by job, as its stages do it, in processes that have a copy's code alone.

A process is forked (`forked.py`), so that a job takes a second or two. What is here runs in such a process:
nothing of ours may be imported at the top.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import forked
from sandbox import Sandbox, make_sandbox

EXPERIMENT = """# @package _global_
defaults:
  - override /dataset: digits
variants:
  cnn2: {epochs: 2, epochs_per_report: 1, model: &small {settings: {filters: 4, dense_units: 8}}}
  residual: {epochs: 2, epochs_per_report: 1, model: {settings: {widths: [4, 4]}}}
  cnn3_dp:
    {epochs: 2, epochs_per_report: 1, model: *small, batch_size: 100,
     privacy: {target_epsilon: null, noise_multiplier: 1.0}}
  cnn2_canary: {epochs: 2, epochs_per_report: 1, model: *small, canaries: {count: 40}}
reference: {models: 0, per_variant: {cnn2: 4, residual: 2}}
"""
ORDINARY, OWN, PRIVATE, CANARIES = VARIANTS = ("cnn2", "residual", "cnn3_dp", "cnn2_canary")


def in_process(function: Callable[..., Any], root: Path, *given: Any) -> Any:
    """What `function(*given)` returns in a process of its own whose code is that of the copy `root`."""
    ours, theirs = forked.FORK.Pipe(duplex=False)
    process = forked.FORK.Process(target=_enter, args=(theirs, str(root), function, given))
    forked.start(process)
    theirs.close()
    try:
        result = ours.recv()
    except EOFError:
        raise AssertionError(f"{function.__name__}{given}: the process died") from None
    process.join()
    if isinstance(result, BaseException):
        raise result
    return result


def _enter(answer: Connection, root: str, function: Callable[..., Any], given: tuple[Any, ...]) -> None:
    os.chdir(root)
    sys.path.insert(0, root)
    sys.dont_write_bytecode = True
    assert "privacy_report" not in sys.modules
    try:
        with open(os.devnull, "w") as null, redirect_stdout(null):
            result = function(*given)
    except Exception as error:  # it is raised again where it was asked for
        result = AssertionError(f"{type(error).__name__}: {error}")
    answer.send(result)
    answer.close()


@dataclass
class Call:
    """A job as the memo was asked for it.

    name: tells it apart; kind, key: of its entry; function, given: the library's function that does it, and
    what it gets; code: the digest of its code, as its key has it.
    """

    name: str
    kind: str
    key: str
    function: str
    given: tuple[Any, ...]
    code: str


@dataclass
class Noted:
    """A memo that notes what it is asked for, and computes what the store lacks."""

    variant: str
    code_of: Callable[[Any], str] = lambda compute: ""
    calls: list[Call] = field(default_factory=list)
    computed: dict[str, str] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    fresh: bool = False
    keep: bool = False

    def recall(self, kind: str, key: str, compute: Any) -> Any:
        from privacy_report.pipeline import store
        from privacy_report.pipeline.digests import arrays_digest

        function = f"{compute.func.__module__}.{compute.func.__name__}"
        name = f"{kind} {len(self.calls)} of {self.variant}"
        code, function = self.code_of(compute), WHOLE.get(function, function)
        self.calls.append(Call(name, kind, key, function, compute.args, code))
        entry = store.get(kind, key)
        if entry is None:
            self.moved.add(name)
        arrays = compute() if entry is None or self.fresh else entry.arrays
        if self.fresh:
            self.computed[name] = arrays_digest(arrays)
        if entry is None and self.keep:
            store.put(kind, key, store.Entry(arrays, 0.0, ""))
        return arrays if entry is None else entry.arrays


WHOLE = {
    "privacy_report.training.plan._train": "privacy_report.training.target.epoch",
    "privacy_report.training.plan._score": "privacy_report.training.scoring.score",
    "key_jobs._interval": "privacy_report.training.reference.interval",
}
"""Functions that only import TensorFlow first -> those that they call."""


def train(variant: str, kept: Noted) -> None:
    from privacy_report.pipeline.params import load
    from privacy_report.training.plan import source_of, target
    from privacy_report.training.schema import Variant

    planned = target(variant, load(f"variants.{variant}", Variant), source_of(variant))
    kept.code_of = lambda compute: planned.inputs["code"]
    for _ in planned.epochs(kept, 2):
        pass


def score(variant: str, kept: Noted) -> None:
    from privacy_report.pipeline.files import read_arrays
    from privacy_report.pipeline.params import load
    from privacy_report.training.plan import scores, source_of
    from privacy_report.training.schema import Variant

    config = load(f"variants.{variant}", Variant)
    planned = scores(config.model, source_of(variant), config.queries)
    kept.code_of = lambda compute: planned.inputs["code"]
    for file in sorted(Path("data/train", variant).glob("epoch_*.npz")):
        for canaries in {False, variant == CANARIES}:
            planned.of(kept, read_arrays(file), str(file), canaries)


def reference(variant: str, kept: Noted) -> None:
    from functools import partial

    from privacy_report.training.references import KIND

    model = _references(variant)[0]
    kept.code_of = lambda compute: model.inputs["code"]
    epochs = range(1, model.epochs[0] + 1)
    kept.recall(KIND, model.key(epochs[-1]), partial(_interval, model, None, epochs))


def _references(variant: str) -> list[Any]:
    from privacy_report.datasets import prepared
    from privacy_report.pipeline.params import load
    from privacy_report.training.memberships import ReferenceParams
    from privacy_report.training.plan import source_of
    from privacy_report.training.references import planned
    from privacy_report.training.schema import Variant

    data = prepared.read()
    n = len(data.member) + len(data.nonmember)
    config, params = load(f"variants.{variant}", Variant), load("reference", ReferenceParams)
    return planned(variant, config, params, n, source_of(variant))


def _work(model: Any, state: Any, epochs: range) -> Any:
    """What a worker of the cluster does with an interval."""
    from privacy_report.training import worker

    worker.get_worker = lambda: SimpleNamespace(address="here")
    done = pickle.loads(pickle.dumps(worker.work(model, state, epochs)))
    assert not done.refused, done.refused
    return done


def _interval(reference: Any, state: Any, epochs: range) -> dict[str, Any]:
    return dict(_work(reference, state, epochs).results["phi"].arrays)


def fit(variant: str, kept: Noted) -> None:
    """The first epoch of a target as a worker of the cluster trains it."""
    from functools import partial

    from privacy_report.pipeline.params import load
    from privacy_report.training.chains import Scored
    from privacy_report.training.plan import EPOCH, scores, source_of, target
    from privacy_report.training.schema import Variant

    config, source = load(f"variants.{variant}", Variant), source_of(variant)
    planned = target(variant, config, source)
    model = Scored(planned, scores(config.model, source), (), False)
    kept.code_of = lambda compute: planned.inputs["code"]
    kept.recall(EPOCH, planned.key(1, None), partial(_epoch, model, None, range(1, 2)))


def _epoch(model: Any, state: Any, epochs: range) -> dict[str, Any]:
    return dict(_work(model, state, epochs).results["state"].arrays)


def attack(variant: str, kept: Noted) -> None:
    from privacy_report.attack.canaries import read_canaries
    from privacy_report.attack.schema import AttackParams
    from privacy_report.attack.variant import attack_checkpoint_of, facts_of_references, read_inputs
    from privacy_report.pipeline.params import load

    params = load("attack", AttackParams)
    folders = Path("data/score", variant), Path("data/reference", variant)
    for inputs in filter(None, (read_inputs(params, None, *folders), read_canaries(params, *folders))):

        def code_of(compute: Any, inputs: Any = inputs) -> str:
            plan = compute.args[0]
            facts = inputs.facts.get(compute.func.__module__)
            code: str = (facts or inputs.attacks.inputs[getattr(plan, "attack", "")])["code"]
            return code

        kept.code_of = code_of
        results = {epoch: attack_checkpoint_of(inputs, epoch, kept) for epoch in inputs.files}
        facts_of_references(inputs, results, kept)


KINDS = {"train": train, "score": score, "fit": fit, "reference": reference, "attack": attack}


def measured(
    work: list[tuple[str, str]], fresh: bool, environment: dict[str, str] | None = None, keep: bool = False
) -> tuple[set[str], dict[str, str]]:
    """(Jobs whose keys the store has not, job -> digest of what it computes now) of (kind, variant) pairs.

    fresh: compute what the store has, too; the digests are empty otherwise. keep: store what it lacks.
    """
    os.environ.update(environment or {})
    moved, computed = set(), {}
    for kind, variant in work:
        kept = Noted(variant, fresh=fresh, keep=keep)
        KINDS[kind](variant, kept)
        moved |= kept.moved
        computed |= kept.computed
    return moved, computed


def finish() -> None:
    """All stages up to the attacks, with the reference models trained in this process."""
    for name in ("compose", "prepare"):
        _stage(name)
    for variant in VARIANTS:
        for name in ("canaries", "train", "score"):
            _stage(name, variant)
    for model in _references(ORDINARY):
        _train_reference(model, model.epochs)
    _train_reference(_references(OWN)[0], (1,))
    for name in ("reference", "attack"):
        _stage(name, ORDINARY)


def _stage(name: str, *variant: str) -> None:
    importlib.import_module(f"stages.{name}").main(variant)


def _train_reference(model: Any, epochs: tuple[int, ...]) -> None:
    from privacy_report.training.references import ReferenceChain

    chain = ReferenceChain(model)
    for _ in epochs:
        chain.keep(_work(model, chain.stored(), chain.next()).results)


def make_study(target: Path) -> Sandbox:
    """A copy of the repository in which all jobs of the study have run."""
    sandbox = make_sandbox(target, EXPERIMENT, VARIANTS)
    in_process(finish, target)
    return sandbox
