"""What removed variants left is deleted only where it is what the pipeline wrote; all else is named."""

import pytest
import yaml

from privacy_report.errors import UserError
from privacy_report.pipeline import leftovers
from privacy_report.pipeline.recorded import md5

FILES = {
    "metrics/{}.json": "numbers",
    "models/{}/{}.keras": "model",
    "models/{}/{}.md": "card",
    "data/attack/{}/privacy.csv": "rows",
    "data/gate/{}.json": "verdict",
}
OUTS = ("metrics/{}.json", "models/{}", "data/attack/{}", "data/gate/{}.json")


def out_of(root, path):
    """An output as DVC writes it into dvc.lock."""
    return {"path": path, "md5": md5(root / path)}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Outputs of the variants `now` and `old`, in dvc.lock, too."""
    monkeypatch.chdir(tmp_path)
    stages = {}
    for name in ("now", "old"):
        for path, text in FILES.items():
            file = tmp_path / path.format(name, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text} of {name}")
        stages[f"all@{name}"] = {"outs": [out_of(tmp_path, path.format(name)) for path in OUTS]}
    (tmp_path / "data/prepare").mkdir()
    (tmp_path / "data/prepare/labels.npy").write_text("of all")
    (tmp_path / "metrics/.gitignore").write_text("")
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    return tmp_path


def there(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_removed_variant_goes_and_all_else_stays(root):
    before = there(root)
    gone = {path.format("old", "old") for path in FILES}
    assert {str(path) for path in leftovers.remove(["now"])} == {path.format("old") for path in OUTS}
    assert there(root) == before - gone
    assert leftovers.left(["now"]) == []
    assert leftovers.remove(["now"]) == []


def test_a_folder_goes_with_what_a_killed_run_left_in_it(root):
    (root / ".dvcignore").write_text(".*.tmp\n")
    (root / "models/old/.old.md.abc.tmp").write_text("ca")
    assert root / "models/old" in [root / path for path in leftovers.remove(["now"])]
    assert not (root / "models/old").exists()


def test_nothing_goes_while_its_variant_is_there(root):
    before = there(root)
    assert leftovers.remove(["now", "old"]) == leftovers.left(["now", "old"]) == []
    assert there(root) == before


def test_what_somebody_changed_or_made_is_named_and_stays(root):
    (root / "metrics/old.json").write_text("edited")
    (root / "models/old/notes.txt").write_text("mine")
    (root / "data/attack/old/privacy.csv").unlink()
    (root / "data/attack/old/privacy.csv").symlink_to(root / "data/prepare/labels.npy")
    (root / "models/mine.keras").write_text("of my own")
    assert [str(path) for path in leftovers.remove(["now"])] == ["data/gate/old.json"]
    assert {str(path) for path in leftovers.left(["now"])} == {
        "metrics/old.json", "models/old", "models/mine.keras", "data/attack/old",
    }  # fmt: skip
    assert (root / "data/prepare/labels.npy").read_text() == "of all"


def test_a_folder_that_was_edited_stays_where_its_size_is_the_same(root):
    (root / "models/old/old.md").write_text("CARD of old")
    assert root / "models/old" not in [root / path for path in leftovers.remove(["now"])]
    assert (root / "models/old/old.md").read_text() == "CARD of old"


def test_without_a_lock_nothing_goes(root):
    (root / "dvc.lock").unlink()
    assert leftovers.remove(["now"]) == []
    assert len(leftovers.left(["now"])) == len(OUTS)


@pytest.mark.parametrize("lock", ["stages: [", "stages: 3", "stages: {a: {outs: [{}]}}"])
def test_a_damaged_lock_is_one_line_and_nothing_goes(lock, root, monkeypatch):
    monkeypatch.setattr("privacy_report.pipeline.recorded.BEING_WRITTEN", 0.0)
    (root / "dvc.lock").write_text(lock)
    with pytest.raises(UserError, match=r"^dvc\.lock: no file of DVC's with stages$"):
        leftovers.remove(["now"])
    assert len(leftovers.left(["now"])) == len(OUTS)
