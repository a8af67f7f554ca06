"""The reader of TFDS datasets, on small ones that the tests make, and the probe of hosts."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privacy_report.datasets import tfds_reader
from privacy_report.datasets.labelled import RefusedError, UnavailableError
from privacy_report.errors import UserError

Run = Callable[..., Path]
N = {"train": 30, "test": 12}


def make(
    folder: Path, name: str, sizes: list[int], *, labels: int = 3, ids: bool = True, kind: str = "image"
) -> Any:
    """Prepare a TFDS dataset `name` in `folder`; image i is of side sizes[i % len] and filled with i."""
    import tensorflow_datasets as tfds

    side = sizes[0] if len(sizes) == 1 else None

    def info(self: Any) -> Any:
        features = {"label": tfds.features.ClassLabel(num_classes=labels)}
        if kind == "image":
            features["image"] = tfds.features.Image(shape=(side, side, 1))
        elif kind == "text":
            features["text"] = tfds.features.Text()
        if ids:
            features["id"] = tfds.features.Text()
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def examples(self: Any, split: str) -> Iterator[Any]:
        for i in range(N[split]):
            row: dict[str, Any] = {"label": i % 3}
            size = sizes[i % len(sizes)]
            row[kind] = np.full((size, size, 1), i, np.uint8) if kind == "image" else str(i)
            if ids:
                row["id"] = f"{split}_{i}"  # no leading zeros: train_10 must come after train_9
            yield i, row

    def splits(self: Any, manager: Any) -> Any:
        return {split: self._generate_examples(split) for split in N}

    members = {
        "VERSION": tfds.core.Version("1.0.0"),
        "_info": info,
        "_generate_examples": examples,
        "_split_generators": splits,
        "name": name,
        "__module__": __name__,
    }
    with tfds.core.registered.skip_registration():
        builder = type(name.title(), (tfds.core.GeneratorBasedBuilder,), members)(data_dir=folder)
    tfds.disable_progress_bar()
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    return builder


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))


def test_ids_give_the_order_and_their_numbers_count_as_numbers(tmp_path: Path) -> None:
    read = tfds_reader.read(make(tmp_path, "tiny", [8]), ["test", "train"])
    assert read.images.shape == (42, 8, 8, 1)
    assert read.images[:, 0, 0, 0].tolist() == [*range(12), *range(30)]
    assert read.labels.tolist() == [i % 3 for i in (*range(12), *range(30))]
    assert read.splits == {"test": range(12), "train": range(12, 42)}


def test_without_ids_the_order_is_the_same_each_time(tmp_path: Path) -> None:
    builder = make(tmp_path, "tiny", [8], ids=False)
    first, second = (tfds_reader.read(builder, ["train"]).images[:, 0, 0, 0] for _ in range(2))
    assert first.tolist() == second.tolist()
    assert sorted(first.tolist()) == list(range(30))


def test_a_dataset_on_disk_by_name_through_the_stage(tmp_path: Path, run_stage: Run) -> None:
    make(tmp_path, "tiny", [8])
    out = run_stage(name="tiny", member_split="train", nonmember_split="train", member_fraction=0.5)
    member, nonmember = np.load(out / "member.npy"), np.load(out / "nonmember.npy")
    assert sorted([*member, *nonmember]) == list(range(30))
    assert np.bincount(np.load(out / "labels.npy")[member]).tolist() == [5, 5, 5]


def test_images_of_several_shapes_are_refused(tmp_path: Path) -> None:
    builder = make(tmp_path, "tiny", [8, 9])
    with pytest.raises(RefusedError, match=r"^tiny: images of several shapes, (8 x 8 x 1, 9|9 x 9 x 1, 8)"):
        tfds_reader.read(builder, ["train"])


def test_unknown_static_shapes_that_agree_are_read(tmp_path: Path) -> None:
    read = tfds_reader.read(make(tmp_path, "tiny", [8, 8]), ["train"])
    assert read.images.shape == (30, 8, 8, 1)


def test_a_dataset_without_images_is_refused(tmp_path: Path, run_stage: Run) -> None:
    make(tmp_path, "tiny", [8], kind="text")
    with pytest.raises(
        UserError, match=r"^tiny: not an image-classification dataset: needs one image, its features"
    ):
        run_stage(name="tiny")


def test_a_missing_split_is_refused_with_those_there_are(tmp_path: Path, run_stage: Run) -> None:
    make(tmp_path, "tiny", [8])
    with pytest.raises(UserError, match=r"split of tiny: got 'validation', allowed: test, train"):
        run_stage(name="tiny", nonmember_split="validation")


@pytest.mark.parametrize("what", ["shortened", "altered"])
def test_damaged_records_are_refused_by_name(tmp_path: Path, what: str) -> None:
    builder = make(tmp_path, "tiny", [8])
    record = next(tmp_path.glob("tiny/*/tiny-train.tfrecord*"))
    content = bytearray(record.read_bytes())
    if what == "altered":
        content[500] ^= 1
    record.write_bytes(content[:-20] if what == "shortened" else content)
    with pytest.raises(RefusedError, match=r"^tiny: .*tiny/1\.0\.0 cannot be read") as caught:
        tfds_reader.read(builder, ["train"])
    assert "\n" not in str(caught.value)


def test_a_damaged_description_is_refused(tmp_path: Path, run_stage: Run) -> None:
    make(tmp_path, "tiny", [8])
    next(tmp_path.glob("tiny/*/dataset_info.json")).write_text("{")
    with pytest.raises(UserError, match="not a sound TFDS dataset"):
        run_stage(name="tiny")


def test_a_damaged_download_is_deleted_and_an_unfit_one_kept(
    tmp_path: Path, run_stage: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "root" / ".store" / "downloads" / "tfds"
    make(cache, "tiny", [8, 9])
    with pytest.raises(UserError, match="several shapes"):
        run_stage(name="tiny")
    assert (cache / "tiny").exists()
    record = next(cache.glob("tiny/*/tiny-train.tfrecord*"))
    record.write_bytes(record.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"cannot be read .*; deleted from the cache"):
        run_stage(name="tiny")
    assert not (cache / "tiny").exists()


def test_a_name_unknown_to_tfds_lists_close_names(tmp_path: Path, run_stage: Run) -> None:
    with pytest.raises(
        UserError, match=r"dataset\.name: TFDS knows no dataset 'mnits'.*close names: mnist"
    ) as caught:
        run_stage(name="mnits")
    assert "\n" not in str(caught.value)


def test_a_host_that_does_not_answer_ends_the_download_at_once(
    tmp_path: Path, run_stage: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tfds_reader, "_ask", lambda url, failure: None)
    with pytest.raises(UserError, match=r"^mnist: .* does not answer .*set TFDS_DATA_DIR"):
        run_stage(name="mnist")


class Answer(http.server.BaseHTTPRequestHandler):
    """Says 404 to everything."""

    def do_HEAD(self) -> None:
        self.send_error(404)

    def log_message(self, *args: object) -> None:
        """Nothing."""


def test_any_answer_counts_as_a_route() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tfds_reader.probe([f"http://127.0.0.1:{server.server_port}/file.zip", "gs://bucket/file"])
        server.shutdown()


def test_a_closed_port_and_a_silent_host_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfds_reader, "PROBE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(UnavailableError, match=rf"127\.0\.0\.1:{port} does not answer"):
            tfds_reader.probe([f"http://127.0.0.1:{port}/x"])
    with pytest.raises(UnavailableError, match="does not answer"):
        tfds_reader.probe([f"http://127.0.0.1:{port}/x"])


def test_a_name_that_resolves_slowly_does_not_hold_the_probe_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfds_reader, "PROBE_SECONDS", 0.1)
    resolved, asked = threading.Event(), []
    monkeypatch.setattr(tfds_reader, "_ask", lambda url, failure: resolved.wait(60) or asked.append(url))
    with pytest.raises(UnavailableError, match=r"example does not answer \(no answer\)"):
        tfds_reader.probe(["https://example/x"])
    assert not asked  # which is not over yet
    resolved.set()
