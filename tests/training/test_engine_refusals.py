"""Workers that would compute something else, numbers that do not fit, clusters that are not there."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace

import dask
import pytest
from dask_processes import kill, wait_until
from reference_runs import NOWHERE, edit, reference

from privacy_report.errors import UserError
from privacy_report.pipeline.component import Component
from privacy_report.training import cluster as cluster_module
from privacy_report.training import engine, job, worker
from privacy_report.training.job import NOWHERE as NO_EXAMPLES
from privacy_report.training.plan import job_of, recipe_of
from privacy_report.training.references import HANDS, REFERENCE
from privacy_report.training.schema import Variant
from privacy_report.training.worker import Done

pytestmark = pytest.mark.pipeline

SAY_OTHER_LIBRARY = """
from privacy_report.pipeline import code
code._version = lambda name, real=code._version: "1.0" if name == "numpy" else real(name)
"""

HAVE_NO_PACKAGE = "import sys; sys.modules['privacy_report.training.worker'] = None"

OTHERS: dict[str, tuple[str, int, dict[str, str], str]] = {
    "code": ("", 1, {}, "has other code than this checkout; bring both to the same commit"),
    "loaded": (
        "from privacy_report.training import worker",
        1,
        {},
        "has loaded code that has changed since",
    ),
    "libraries": (SAY_OTHER_LIBRARY, 1, {}, "has other versions: .*'numpy': '1.0'.*, expected .*'numpy'"),
    "environment": (
        "",
        1,
        {"DNNL_MAX_CPU_ISA": "AVX"},
        "has other environment: .*'AVX'.*}, expected {(?!.*AVX)",
    ),
    "threads": ("", 3, {}, "has 3 threads; start it with --nthreads 1"),
    "package": (HAVE_NO_PACKAGE, 1, {}, "cannot train .*ModuleNotFoundError.*training.worker"),
}

"""What is odd about a worker: what it preloads, threads, environment, and what is said of it."""


@pytest.mark.parametrize("odd", OTHERS)
def test_a_worker_that_may_compute_something_else_is_refused_by_its_address(odd, base, fresh, outside, here):
    preload, threads, env, said = OTHERS[odd]
    if odd in ("code", "loaded"):
        fresh.edit("privacy_report/training/trainer.py", '"weights {seed}', '"weigths {seed}')
    (fresh.root / "odd.py").write_text(preload)
    worker = outside.worker(fresh.root, fresh.root / "odd.py", threads=threads, **env)
    try:
        wait_until(lambda: outside.count() == 1)
        if odd == "loaded":
            fresh.edit("privacy_report/training/trainer.py", '"weigths {seed}', '"weights {seed}')
        with pytest.raises(UserError, match=rf"^worker tcp://127.0.0.1:[0-9]+ {said}"):
            here(base, outside.address)
    finally:
        kill(worker)


def test_code_that_changes_while_a_worker_loads_it_is_noticed(monkeypatch):
    recipe = next(iter(worker.LOADED))
    assert not worker._changed_while_loading.__wrapped__(recipe)
    monkeypatch.setitem(worker.LOADED, recipe, worker.LOADED[recipe] | {"code": "other"})
    assert worker._changed_while_loading.__wrapped__(recipe)


def own_recipe(path):
    """References of a user's own model."""
    return recipe_of(REFERENCE, job_of("", Variant("", Component(path)), NO_EXAMPLES), HANDS)


def test_a_kind_of_model_that_is_met_later_must_find_the_code_that_was_loaded_before(monkeypatch):
    residual, perceptron = map(own_recipe, ("nets.residual.residual_network", "nets.perceptron.perceptron"))
    monkeypatch.setattr(worker, "LOADED", dict(worker.LOADED))
    loaded = worker._loaded(residual)
    assert loaded == residual.base()
    assert worker._loaded(residual) is loaded
    first = next(iter(worker.LOADED))
    monkeypatch.setitem(worker.LOADED, first, worker.LOADED[first] | {"code": "other"})
    assert worker._loaded(perceptron)["code"] == worker.STALE
    assert perceptron not in worker.LOADED


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"models": 3}, "reference.models: got 3, allowed: 0 or a multiple of 2 at fraction 0.5"),
        ({"epochs": 1}, "reference.epochs: got 1, allowed: at least 2, the first checkpoint of cnn2"),
    ],
)
def test_wrong_numbers_are_refused_before_anything_starts(params, said, fresh):
    edit(fresh, **params)
    done = reference(fresh, NOWHERE)
    assert (done.returncode, done.stderr) == (2, f"error: {said}\n")


def test_no_worker_within_the_patience(base, outside, here):
    with pytest.raises(UserError, match=r"^no worker joined the scheduler within 1 s$"):
        here(base, outside.address, patience=0.6)


def test_while_there_is_no_worker_it_is_said_for_what_and_until_when(
    base, outside, here, capsys, monkeypatch
):
    monkeypatch.setattr(engine, "REMIND", 1.0)
    start = time.time()
    with pytest.raises(UserError, match="within 4 s"):
        here(base, outside.address, patience=3.6)
    said = re.findall(
        rf"^waiting for a worker to join {outside.address}, until (\S+)$", capsys.readouterr().err, re.M
    )
    assert 2 <= len(said) <= 3
    allowed = {time.strftime("%H:%M:%S", time.localtime(start + 3.6 + more)) for more in range(20)}
    assert set(said) <= allowed


def test_no_scheduler_at_the_address(base, here, monkeypatch, tmp_path):
    monkeypatch.setattr(cluster_module, "ANSWER", 1)
    with pytest.raises(UserError, match=f"^no scheduler answers at {NOWHERE} "):
        here(base, NOWHERE)
    with pytest.raises(UserError, match=r"^no scheduler answers at nowhere://1 "):
        here(base, "nowhere://1")
    for text in (None, "", "[]", '{"address": '):
        path = tmp_path / "scheduler.json"
        if text is not None:
            path.write_text(text)
        with (
            dask.config.set(scheduler_file=str(path)),
            pytest.raises(UserError, match=r"scheduler\.json: no scheduler file \("),
        ):
            here(base, None)


class Future:
    def release(self):
        pass


def lose(monkeypatch, done, answer, times):
    """How often examples were sent where a worker has given `done` so often, and then `answer`."""
    sent, chain = [], SimpleNamespace(name="m", left=True)
    chain.model = SimpleNamespace(job=SimpleNamespace(source=SimpleNamespace(digest="d", read=dict)))
    client = SimpleNamespace(
        status="running", run=lambda *_, workers, **__: sent.append(1) or {workers[0]: answer}
    )
    monkeypatch.setattr(engine, "_result", lambda *_: done)
    monkeypatch.setattr(engine, "_in_memory", dict)
    training = engine._Training(client, [chain], 1.0, SimpleNamespace(pace=None))
    for _ in range(times):
        training.waiting.clear()
        future = Future()
        training.running[future] = chain
        training._take(future)
        assert training.waiting == [chain]
    return len(sent)


def test_a_worker_that_lacks_the_examples_has_lost_nothing(monkeypatch):
    """Of models with several sets of examples, as of audit twins, a worker may lack one again and again."""
    lacks = Done(worker="tcp://1")
    assert lose(monkeypatch, lacks, None, 9) == 9
    assert lose(monkeypatch, lacks, OSError("gone"), 1) == 1
    with pytest.raises(UserError, match=r"^worker tcp://1 cannot hold the examples \(MemoryError: full\)$"):
        lose(monkeypatch, lacks, MemoryError("full"), 1)


def test_what_went_with_a_process_is_tried_again_so_often_and_no_oftener(monkeypatch):
    assert lose(monkeypatch, Done(), None, engine.RETRIES) == 0
    with pytest.raises(UserError, match=rf"^m: lost {engine.RETRIES + 1} times$"):
        lose(monkeypatch, Done(), None, engine.RETRIES + 1)


def test_a_process_holds_the_examples_of_a_variant_and_of_its_twin(monkeypatch):
    held = {}
    monkeypatch.setattr(job, "_held", held)
    for digest in "abc":
        job.hold(digest, digest)
    assert held == {"b": "b", "c": "c"}
