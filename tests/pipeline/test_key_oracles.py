"""Keys against what really happens: files opened, functions run, and results of edited code.

None of it asks the mechanism what it reached.
"""

from __future__ import annotations

import json
import os
import shutil
import sys

import pytest
from key_jobs import CANARIES, ORDINARY, OWN, PRIVATE, in_process, make_study
from sandbox import ROOT
from whole_jobs import alone, whole_jobs

from benchmarks import key_edits
from benchmarks.key_edits import LIBRARY, NETS

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """All jobs of a small study have run; tests put back what they edit."""
    return make_study(tmp_path_factory.mktemp("keys") / "study")


JOBS = [
    ("train", OWN),
    ("train", CANARIES),
    ("score", CANARIES),
    ("reference", ORDINARY),
    ("attack", ORDINARY),
]
MORE_JOBS = [
    ("train", PRIVATE),
    ("train", ORDINARY),
    ("score", ORDINARY),
    ("score", OWN),
    ("reference", OWN),
]
"""Of code that `JOBS` have, too."""


@pytest.mark.parametrize(
    ("kind", "variant"), [*JOBS, *(pytest.param(*job, marks=pytest.mark.slow) for job in MORE_JOBS)]
)
def test_a_function_does_the_whole_job_with_files_that_its_key_covers_alone(kind, variant, study):
    """In a process that has seen nothing else, under an audit hook and a profile."""
    jobs = in_process(whole_jobs, study.root, kind, variant)
    assert len(jobs) >= {"attack": 12}.get(kind, 1)
    for job in jobs:
        opened, ran, digest = in_process(alone, study.root, job)
        assert digest == job.stored, f"{job.name}: {job.function} gives something else than the stage"
        assert opened - job.covered - job.data == set(), f"{job.name}: opened, and in no key"
        assert ran - job.covered == set(), f"{job.name}: ran, and is in no key"
        assert len(ran) > 5
        assert opened & job.data, "nothing was read"
        assert any(path.startswith("nets/") for path in opened) == (variant == OWN)


GUARDS = {"privacy_report/pipeline/code.py", "privacy_report/pipeline/memo.py"}
"""A worker shows that it has the right code: these decide whether it computes, and not what."""


@pytest.mark.parametrize(
    ("stage", "variant"),
    [
        ("train", ORDINARY),
        pytest.param("train", PRIVATE, marks=pytest.mark.slow),
        pytest.param("score", OWN, marks=pytest.mark.slow),
        ("attack", ORDINARY),
        pytest.param("fit", "", marks=pytest.mark.slow),
    ],
)
def test_every_function_that_runs_between_a_miss_and_its_answer_is_in_the_key(
    stage, variant, study, tmp_path
):
    """A stage from an empty store, with all its threads and workers; fit has models of all kinds."""
    copy = study.copy(tmp_path / "copy")
    shutil.rmtree(copy.root / ".store")
    (tmp_path / "profiled").mkdir()
    path = os.pathsep.join([str(ROOT / "tests/profile_hook"), str(copy.root)])
    arguments = [f"stages.{stage}", variant] if variant else [f"stages.{stage}"]
    copy.python("-m", *arguments, PYTHONPATH=path, PROFILED=str(tmp_path / "profiled"))
    seen = [json.loads(file.read_text()) for file in (tmp_path / "profiled").iterdir()]
    covered = {name for profile in seen for name in profile["covered"]}
    ran = {name for profile in seen for name in profile["ran"]}
    print(
        f"{stage}@{variant}: {len(ran)} functions ran, {len(covered)} files are in the key", file=sys.stderr
    )
    assert [name for name in sorted(ran) if name.partition(":")[0] not in covered | GUARDS] == []
    assert len(ran) >= {"train": 30, "score": 15, "reference": 40, "attack": 60, "fit": 60}[stage]


QUICK = (
    "members and non-members are swapped as they are read",
    "references train on the others",
    "how score files are read",
    "handing over: the epoch that a worker trains",
    "handing over: the files of an attack",
)
MORE = (
    "weights are put in and doubled",
    "who trained on whom",
    "handing over: the epoch",
    "handing over: on whom a worker trains",
)
QUICK_WAYS = ("a JSON file", "globals()", "the environment")
MORE_WAYS = ("a lazy __getattr__ of a module", "singledispatch")


@pytest.mark.parametrize("what", [QUICK, pytest.param(MORE, marks=pytest.mark.slow)], ids=["quick", "more"])
def test_edits_that_change_a_result_move_its_key(what, study):
    """Some of those in benchmarks/key_edits.json."""
    names = [name for name, edit in LIBRARY.items() if edit["what"] in what]
    assert len(names) == len(what)
    before = key_edits.unedited(study, names)
    key_edits.require_sound([key_edits.tried(study, name, before) for name in names])


@pytest.mark.parametrize("what", key_edits.NOTHING)
def test_comments_format_and_docstrings_move_no_key(what, study):
    row = key_edits.tried_nothing(study, what)
    assert row["moved"] == 0


@pytest.mark.parametrize(
    "ways", [QUICK_WAYS, pytest.param(MORE_WAYS, marks=pytest.mark.slow)], ids=["quick", "more"]
)
def test_edits_of_a_model_of_ones_own_move_its_keys(ways, study, tmp_path):
    copy = study.copy(tmp_path / "copy")
    key_edits.prepare_ways(copy, ways)
    key_edits.require_sound([key_edits.tried_way(copy, way) for way in ways])


def test_a_stale_result_fails_the_benchmark():
    rows = [{"edit": "x", "moved": 0, "changed": 1, "stale": 1}]
    with pytest.raises(SystemExit, match="x: 0 keys moved, 1 results changed, 1 stale"):
        key_edits.require_sound(rows)
    with pytest.raises(SystemExit):
        key_edits.require_sound([{"edit": "x", "moved": 1, "changed": 0, "stale": 0}])
    key_edits.require_sound([{"edit": "x", "moved": 2, "changed": 1, "stale": 0}])


def test_the_record_has_every_edit_and_none_is_stale():
    rows = json.loads((ROOT / "benchmarks/key_edits.json").read_text())
    assert [row["edit"] for row in rows] == [*key_edits.NOTHING, *LIBRARY, *(f"nets/: {way}" for way in NETS)]
    assert len(LIBRARY) >= 20
    assert len(NETS) >= 40
    key_edits.require_sound(rows)


def test_every_edit_finds_its_text():
    for name, edit in LIBRARY.items():
        assert (ROOT / "privacy_report" / edit["path"]).read_text().count(edit["old"]) == 1, name
