"""The commit that results name is that of their inputs, whatever else was committed."""

import pytest
from sandbox import Sandbox

from privacy_report.pipeline.commit import commit, last_change

DATE = "2024-02-29T12:00:00+00:00"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A git repository with conf/ and results, nothing committed."""
    for name in ("DVC_EXP_BASELINE_REV", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    made = Sandbox(tmp_path / "repository")
    for folder in ("conf", "metrics", "own_data"):
        (made.root / folder).mkdir(parents=True)
        (made.root / folder / "file").write_text("first\n")
    return made


def save(repository, date=DATE):
    repository.run("git", "add", "--all")
    repository.run("git", "commit", "--quiet", "--message=x", GIT_COMMITTER_DATE=date)
    return repository.run("git", "rev-parse", "HEAD").stdout.strip()


def test_results_alone_change_nothing_and_inputs_do(repository):
    assert commit(repository.root) == ""
    repository.run("git", "init", "--quiet")
    assert commit(repository.root) == "before the first commit"
    first = save(repository)
    said = f"{first} of 2024-02-29"
    assert commit(repository.root) == said
    repository.append("metrics/file", "other results")
    assert commit(repository.root) == said
    assert save(repository, "2024-03-01T12:00:00+00:00") != first
    assert commit(repository.root) == said
    repository.append("conf/file", "an edit")
    assert commit(repository.root) == f"{said}, and changes that were not committed"
    second = save(repository, "2024-03-02T12:00:00+00:00")
    assert commit(repository.root) == f"{second} of 2024-03-02"
    (repository.root / "own_data/new").touch()
    assert commit(repository.root).endswith(" of 2024-03-02, and changes that were not committed")


def test_an_experiment_names_what_it_started_from(repository, monkeypatch):
    repository.run("git", "init", "--quiet")
    save(repository)
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "c0ffee")
    monkeypatch.setenv("DVC_EXP_NAME", "shaky-name")
    assert commit(repository.root) == "c0ffee, and the experiment shaky-name on it"


def test_the_date_of_data_is_that_of_its_last_commit(repository):
    assert last_change("own_data/file", repository.root) == ""
    repository.run("git", "init", "--quiet")
    save(repository)
    repository.append("conf/file", "an edit")
    save(repository, "2024-03-01T12:00:00+00:00")
    assert last_change("own_data/file", repository.root) == "2024-02-29"
    (repository.root / "own_data/large.dvc").write_text("md5")  # as `dvc add` leaves it; git ignores the file
    save(repository, "2024-03-05T12:00:00+00:00")
    assert last_change("own_data/large", repository.root) == "2024-03-05"
    assert last_change("own_data/none", repository.root) == ""
