"""A change reruns what depends on it and nothing else.

What a hyperparameter reruns is in test_fit.py, which changes one anyway.
"""

import pytest
from sandbox import Sandbox, ran

pytestmark = pytest.mark.pipeline

VARIANTS = ("cnn2", "cnn3", "cnn3_dp")
JUDGED = [f"gate@{name}" for name in VARIANTS]  # by what was found on any variant: it may be an audit twin
GATES = [f"{stage}@{name}" for stage in ("gate", "ship") for name in VARIANTS]
ATTACKS = ["attack@cnn2", "attack@cnn3", "attack@cnn3_dp"]


def test_nothing_changed_runs_nothing(finished: Sandbox):
    assert finished.repro() == []
    assert finished.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_attack_parameter_reruns_attacks(finished: Sandbox):
    finished.append("conf/config.yaml", "attack: {attacks: [threshold, logistic]}")
    assert set(finished.repro()) == {"compose", *ATTACKS, *GATES, "report"}


def test_report_parameter_reruns_report(finished: Sandbox):
    finished.append("conf/config.yaml", "report: {dpi: 77}")
    assert finished.repro() == ["compose", "report"]


@pytest.mark.slow
def test_gate_policy_reruns_gate_and_report(finished: Sandbox):
    finished.append("conf/config.yaml", "gate: {max_advantage: 0.123}")
    assert set(finished.repro()) == {"compose", *GATES, "report"}


def test_comment_in_conf_reruns_compose(finished: Sandbox):
    finished.append("conf/config.yaml", "# a comment")
    assert finished.repro() == ["compose"]


def test_a_line_of_a_users_own_model_reruns_what_trains_and_not_prepare(finished: Sandbox):
    finished.append("nets/residual.py", "KERNEL = 3")
    stages = ("train", "score", "reference", "ship")
    expected = {"fit", *(f"{stage}@{name}" for stage in stages for name in VARIANTS)}
    assert set(ran(finished.dvc("repro", "--dry").stdout)) == expected


def test_a_users_own_file_reruns_prepare(finished: Sandbox):
    (finished.root / "own_data/new.csv").write_text("a,b\n")
    assert "prepare" in ran(finished.dvc("repro", "--dry").stdout)


def test_a_variant_without_a_recommendation_ships_a_card_that_says_so_and_no_file(finished: Sandbox):
    for name in VARIANTS:
        assert [path.name for path in (finished.root / "models" / name).iterdir()] == [f"{name}.md"]
        assert "no model is shipped" in (finished.root / "models" / name / f"{name}.md").read_text()


@pytest.mark.slow
def test_a_new_variant_is_one_file_and_one_name(finished: Sandbox):
    header = "# @package variants.wide\ndefaults: [cnn2@_here_, _self_]\n"
    (finished.root / "conf/variant/wide.yaml").write_text(f"{header}label: Wide\n")
    finished.edit("conf/config.yaml", "variant: [cnn2,", "variant: [wide, cnn2,")
    finished.edit(
        "conf/experiment/smallest.yaml",
        "  cnn3: {",
        "  wide: {epochs: 2, epochs_per_report: 2, model: {settings: {filters: 4}}}\n  cnn3: {",
    )
    stages = ("canaries", "train", "score", "reference", "attack", "gate", "ship")
    of_wide = {f"{stage}@wide" for stage in stages}
    assert set(finished.repro()) == {"compose", "fit", *of_wide, *JUDGED, "report"}


def test_a_removed_variant_leaves_nothing_and_the_next_run_has_nothing_to_do(finished: Sandbox):
    def of_cnn3() -> set[str]:
        paths = finished.root.rglob("cnn3*")
        return {str(path.relative_to(finished.root)) for path in paths if ".dvc/" not in str(path)}

    config = "conf/config.yaml"
    finished.edit(config, "variant: [cnn2, cnn3, cnn3_dp]", "variant: [cnn2, cnn3_dp]")
    done = finished.dvc("repro", check=False)
    assert (
        "error: conf/experiment/smallest.yaml: variants: got 'cnn3', allowed: the variants that"
        in done.stderr
    )
    before = of_cnn3()
    finished.edit(
        "conf/experiment/smallest.yaml", "  cnn3: {epochs: 2, epochs_per_report: 1, model: *small}\n", ""
    )
    done = finished.dvc("repro")
    assert set(ran(done.stdout)) == {"compose", "fit", "gate@cnn2", "gate@cnn3_dp", "report"}
    gone = {"metrics/cnn3.json", "models/cnn3", "data/gate/cnn3.json", "data/canaries/cnn3.npz"}
    gone |= {f"data/{stage}/cnn3" for stage in ("train", "score", "reference", "attack")}
    manifests = {f"data/fit/{stage}/cnn3.json" for stage in ("train", "reference")}
    assert {path for path in before - of_cnn3() if "/cnn3/" not in path} == gone | manifests
    assert all(f"{path}: deleted, it belongs to no variant" in done.stdout for path in gone)
    assert finished.repro() == []


def test_params_edited_by_hand_are_restored_and_the_difference_printed(finished: Sandbox):
    finished.edit("params.yaml", "label: 2 Layers", "label: Two Layers")
    done = finished.dvc("repro")
    assert ran(done.stdout) == ["compose"]
    assert "variants.cnn2.label: 'Two Layers' -> '2 Layers'" in done.stdout
    assert finished.run("git", "status", "--porcelain").stdout == ""
