"""Outputs against what dvc.lock says: MD5s as DVC's own, inputs that are refused, a lock half-written."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from sandbox import environment

from privacy_report.errors import UserError
from privacy_report.pipeline import recorded
from privacy_report.pipeline.recorded import changed, checked, damaged, ignored, md5, refuse_changed

pytestmark = pytest.mark.usefixtures("empty_folder")

FILES = {"data/a/1.npz": b"1", "data/a/sub/2.npz": b"2", "data/a/sub-2/ä.npz": b"3", "data/b.json": b"{}"}


@pytest.fixture
def lock(empty_folder):
    """Two outputs, what DVC recorded of them, and a stage that reads both."""
    for name, content in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)
    made = {"make@v": "data/a", "other": "data/b.json"}
    stages = {stage: {"outs": [{"path": path, "md5": md5(Path(path))}]} for stage, path in made.items()}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}), "utf-8")
    read = {"deps": ["data/a/1.npz", "${item.variant}.py"]}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"read": read, "alone": {}}}), "utf-8")


def killed(path):
    """What a run leaves that was killed while it wrote a file, in a project that knows of such files."""
    Path(".dvcignore").write_text("# of killed runs\n/.store\n.*.tmp\n", "utf-8")
    path.with_name(f".{path.name}.abc.tmp").write_bytes(b"ha")


def test_md5s_are_those_by_which_dvc_knows_files_and_folders(lock):
    Path("dvc.yaml").unlink()
    Path("dvc.lock").unlink()
    killed(Path("data/a/sub/2.npz"))
    dvc = [sys.executable, "-m", "dvc"]
    for command in (["init", "--no-scm", "--quiet"], ["add", "--quiet", "data/a", "data/b.json"]):
        subprocess.run([*dvc, *command], check=True, env=environment())
    for path in (Path("data/a"), Path("data/b.json")):
        (out,) = yaml.safe_load(path.with_name(f"{path.name}.dvc").read_bytes())["outs"]
        assert md5(path, ignored()) == out["md5"]
    cache = Path(".dvc/cache")
    assert list(damaged(cache)) == []
    objects = sorted(path for path in cache.rglob("*") if path.is_file())
    assert len(objects) == len(FILES) + 1  # and the list of the folder's
    for path in objects:
        path.chmod(0o644)
        path.write_bytes(path.read_bytes() + b" ")
        path.chmod(0o444)
    assert list(damaged(cache)) == objects


def test_what_has_other_bytes_is_changed_and_what_is_not_there_is_not(lock):
    assert list(changed()) == []
    Path("data/a/sub/2.npz").rename("data/a/sub/3.npz")
    Path("data/b.json").unlink()
    assert list(changed()) == [("data/a", "make@v")]
    Path("dvc.lock").unlink()
    assert list(changed()) == []


def test_what_dvc_has_not_finished_is_no_damaged_object():
    folder = Path(".dvc/cache/files/md5/ab")
    folder.mkdir(parents=True)
    for name in (".Xy9.tmp", "c" * 30):
        (folder / name).write_bytes(b"half")
    assert list(damaged(Path(".dvc/cache"))) == [folder / ("c" * 30)]


def test_what_a_killed_run_left_half_written_is_no_change(lock):
    killed(Path("data/a/sub/2.npz"))
    killed(Path("data/b.json"))
    assert list(changed()) == []
    refuse_changed(["data/a"])
    Path("data/a/sub/2.npz").write_bytes(b"0")
    assert list(changed()) == [("data/a", "make@v")]


@pytest.mark.parametrize("path", ["data/a", "data", "data/a/1.npz", "data/a/sub"])
def test_whoever_reads_an_output_a_part_of_it_or_what_is_around_it_is_refused(lock, path):
    refuse_changed([path])
    Path("data/a/1.npz").write_bytes(b"0")
    with pytest.raises(UserError, match=r"^data/a: is not what make@v has written; `privacy-report verify`"):
        refuse_changed(["other", path])
    refuse_changed(["data/b.json", "data/a2", "dat"])


def test_a_stage_looks_at_its_inputs_where_dvc_runs_it(lock, monkeypatch):
    ran = []
    main = checked(ran.append)
    Path("data/a/1.npz").write_bytes(b"0")
    main(["by hand"])
    for stage in ("alone", "other@v"):
        monkeypatch.setenv("DVC_STAGE", stage)
        main([stage])
    for stage in ("read@v", "../dvc.yaml:read@v"):  # as DVC says it in a subfolder
        monkeypatch.setenv("DVC_STAGE", stage)
        with pytest.raises(UserError, match=r"^data/a: is not what"):
            main(["read@v"])
    Path("data/a/1.npz").write_bytes(b"1")
    main(["read@v"])
    assert ran == [["by hand"], ["alone"], ["other@v"], ["read@v"]]


def test_a_lock_that_another_run_is_writing_is_waited_for(lock, monkeypatch):
    whole = Path("dvc.lock").read_bytes()
    Path("dvc.lock").write_bytes(b"")
    writer = threading.Thread(target=lambda: time.sleep(0.3) or Path("dvc.lock").write_bytes(whole))
    writer.start()
    Path("data/a/1.npz").write_bytes(b"0")
    assert list(changed()) == [("data/a", "make@v")]
    writer.join()
    Path("dvc.lock").write_bytes(b"a: [")
    monkeypatch.setattr(recorded, "BEING_WRITTEN", 0.1)
    with pytest.raises(UserError, match=r"^dvc\.lock: no file of DVC's with stages$"):
        list(changed())
