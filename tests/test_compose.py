"""conf/ -> params.yaml: what is refused, in which words, and what is written."""

import copy
import subprocess
import sys

import pytest
import yaml
from sandbox import ROOT, environment

from privacy_report.composition import check_params, composed, differences
from privacy_report.errors import UserError
from stages import compose

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


def set_in_conf(root, key, value):
    """Say `key: value` (a dotted key, YAML) at the end of conf/config.yaml, which wins over the groups."""
    *outer, last = key.split(".")
    text = f"{last}: {value}"
    for name in reversed(outer):
        text = f"{name}: {{{text}}}"
    with open(root / "conf/config.yaml", "a") as file:
        file.write(f"{text}\n")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("variants.cnn2.batch_size", "0", ["variants.cnn2.batch_size", "0", "at least 1"]),
        ("variants.cnn2.batch_size", "many", ["variants.cnn2.batch_size", "many"]),
        (
            "variants.cnn2.schedule",
            "{path: cosine}",
            ["variants.cnn2.schedule.path", "cosine", "import path"],
        ),
        ("variants.cnn2.optimizer", "adam", ["variants.cnn2", "adam"]),
        ("variants.cnn2.epochs_per_report", "51", ["variants.cnn2.epochs_per_report", "51", "1..50"]),
        ("variants.cnn3.learning_rate", "-1", ["variants.cnn3.learning_rate", "-1", "above 0"]),
        ("variants.cnn3.learning_rate", ".nan", ["variants.cnn3.learning_rate", "nan", "above 0"]),
        ("variants.cnn2.momentum", "0.9", ["variants.cnn2.momentum", "unknown key", "learning_rate"]),
        ("variants.cnn2.model.path", "resnet", ["variants.cnn2.model.path", "resnet", "import path"]),
        ("variants.cnn2.model.depth", "3", ["variants.cnn2.model.depth", "unknown key", "path, settings"]),
        ("variants.cnn2.seed", "-3", ["variants.cnn2.seed", "-3"]),
        ("variants.cnn2.privacy", "{l2_norm_clip: 1}", ["variants.cnn2.privacy", "exactly one"]),
        ("variants.cnn9", "{epochs: 1}", ["conf/config.yaml: variants", "cnn9", "cnn3_dp"]),
        ("variants", "null", ["variants"]),
        ("colour", "red", ["colour", "variants"]),
        ("attack.mode", "fast", ["attack.mode", "fast", "default", "parity"]),
        ("attack.delta", "1.0e-7", ["attack.delta", "1e-07", "variants.cnn3_dp.privacy.delta"]),
        (
            "gate.per_slice",
            "{class=12: {max_advantage: 0.1}}",
            ["gate.per_slice", "class=12", "class=0 to class=9"],
        ),
        ("gate.max_epsilon", "-1", ["gate.max_epsilon", "-1", "at least 0"]),
        ("dataset.seed", "x", ["dataset.seed", "x"]),
        ("report.dpi", "1", ["report.dpi", "1", "30..600"]),
    ],
)
def test_bad_values_end_in_one_line_that_names_the_key(key, value, words, conf):
    set_in_conf(conf, key, value)
    with pytest.raises(UserError) as error:
        compose.main([])
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)
    assert not (conf / "params.yaml").exists()


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        ({}, False),
        ({"drop": ["name"]}, False),
        ({"fit_split": "public"}, True),
        ({"scales": {"age": [40, 8]}, "categories": {"town": ["a", "b"]}}, True),
    ],
)
def test_a_private_variant_on_a_table_that_its_members_scale_is_refused(settings, allowed):
    own = {"name": "table", "path": "own_data/t.csv", "label": "ill", "member_split": "in"}
    params = PARAMS | {"dataset": own | {"nonmember_split": "out"} | settings}
    ordinary = {name: variant for name, variant in PARAMS["variants"].items() if not variant["privacy"]}
    check_params(params | {"variants": ordinary})
    if allowed:
        check_params(params)
        return
    with pytest.raises(
        UserError, match=r"^variants\.cnn3_dp\.privacy: .*dataset\.fit_split.*for all columns$"
    ):
        check_params(params)


def test_an_unknown_choice_of_a_group_lists_the_known(conf):
    text = (conf / "conf/config.yaml").read_text()
    (conf / "conf/config.yaml").write_text(text.replace("dataset: cifar10", "dataset: imagenet"))
    with pytest.raises(UserError, match=r"imagenet.*cifar10.*digits") as error:
        compose.main([])
    assert "\n" not in str(error.value)


def test_command_prints_one_line_and_exits_with_2(conf):
    set_in_conf(conf, "variants.cnn2.batch_size", "0")
    done = subprocess.run(
        [sys.executable, "-m", "stages.compose"], cwd=conf, env=environment() | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: variants.cnn2.batch_size: got 0, allowed: an integer of at least 1"
    ]


def test_composes_the_committed_file_and_says_what_it_changes(conf, capsys):
    edited = yaml.safe_dump(PARAMS | {"dataset": PARAMS["dataset"] | {"seed": 5}})
    (conf / "params.yaml").write_text(edited)
    compose.main([])
    assert (conf / "params.yaml").read_text() == (ROOT / "params.yaml").read_text()
    assert capsys.readouterr().out.splitlines()[:-1] == [
        f"params.yaml: dataset.seed: 5 -> {PARAMS['dataset']['seed']}"
    ]


def test_inside_an_experiment_params_stay_and_conf_learns_what_was_set(conf, monkeypatch, capsys):
    compose.main([])
    before = (conf / "params.yaml").read_text().replace("learning_rate: 0.001", "learning_rate: 0.5")
    (conf / "params.yaml").write_text(before)
    monkeypatch.setenv("DVC_EXP_NAME", "exp")
    compose.main([])
    assert (conf / "params.yaml").read_text() == before
    assert capsys.readouterr().out.splitlines()[1:-1] == [
        f"conf/overrides.yaml: variants.{name}.learning_rate: 0.001 -> 0.5"
        for name in ("cnn2", "cnn3", "cnn3_augment", "cnn2_canary")
    ]
    monkeypatch.delenv("DVC_EXP_NAME")
    compose.main([])  # a later `dvc repro` reverts nothing
    assert (conf / "params.yaml").read_text() == before


def test_inside_an_experiment_params_are_checked(conf, monkeypatch):
    compose.main([])
    text = (conf / "params.yaml").read_text()
    (conf / "params.yaml").write_text(text.replace("batch_size: 50", "batch_size: 0"))
    monkeypatch.setenv("DVC_EXP_NAME", "exp")
    with pytest.raises(UserError, match="batch_size"):
        compose.main([])


def test_damaged_params_are_written_anew(conf, capsys):
    (conf / "params.yaml").write_text("a: [")
    compose.main([])
    assert (conf / "params.yaml").read_text() == (ROOT / "params.yaml").read_text()


def test_variants_inherit(conf):
    wide = "# @package variants.wide\ndefaults: [cnn3@_here_, _self_]\nlabel: Wide\n"
    wide += "model: {settings: {filters: 64}}\n"
    (conf / "conf/variant/wide.yaml").write_text(wide)
    text = (conf / "conf/config.yaml").read_text()
    (conf / "conf/config.yaml").write_text(text.replace("[cnn2, cnn3,", "[wide, cnn2, cnn3,"))
    text = composed("conf")
    cnn3 = PARAMS["variants"]["cnn3"]
    model = cnn3["model"] | {"settings": cnn3["model"]["settings"] | {"filters": 64}}
    assert yaml.safe_load(text)["variants"]["wide"] == cnn3 | {"label": "Wide", "model": model}


def test_differences_name_added_removed_and_changed_leaves():
    lines = differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "d": 4}})
    assert lines == ["a.b: 1 -> 3", "a.c: 2 -> '(absent)'", "a.d: '(absent)' -> 4"]


def test_a_limit_of_a_class_needs_attacks_by_class(conf):
    set_in_conf(conf, "gate.per_slice", "{class=1: {max_advantage: 0.1}}")
    set_in_conf(conf, "attack.slices", "[entire]")
    with pytest.raises(
        UserError, match=r"^gate\.per_slice: got 'class=1', allowed: .* attack\.slices has class$"
    ):
        compose.main([])


def test_compose_says_how_many_nonmembers_the_policy_needs(conf, capsys):
    set_in_conf(conf, "gate", "{max_canary_tpr_at_1pct_fpr: 0.1, per_variant: {cnn3: {max_advantage: 0.05}}}")
    compose.main([])
    (said,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("gate: non-members"))
    assert said == (
        "gate: non-members that the policy needs in each half: "
        "738 for max_advantage, 500 for max_tpr_at_1pct_fpr, 47 of each class for max_class_advantage, "
        "500 canaries that are out, in all, for max_canary_tpr_at_1pct_fpr"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"repeats": "cnn9"}, "variants.again.repeats: got 'cnn9', allowed: a variant of the study"),
        ({"repeats": "again"}, "variants.again.repeats: got 'again', allowed: a variant of the study"),
        ({"repeats": "cnn3", "learning_rate": 0.5}, "allowed: a variant with the same learning_rate"),
        (
            {"repeats": "cnn3", "seed": 0},
            "variants.again.seed: got 0, allowed: another seed than that of cnn3",
        ),
        ({"repeats": "cnn3", "seed": 1}, ""),
    ],
)
def test_what_repeats_a_variant_differs_from_it_in_its_seed_alone(changes, words):
    params = copy.deepcopy(PARAMS)
    params["variants"]["again"] = {**params["variants"]["cnn3"], "label": "Again", "seed": 1} | changes
    if not words:
        check_params(params)
        return
    with pytest.raises(UserError) as error:
        check_params(params)
    assert words in str(error.value)


def test_a_repeat_has_as_many_references_as_what_it_repeats():
    params = copy.deepcopy(PARAMS)
    params["variants"]["again"] = {**params["variants"]["cnn3_dp"], "seed": 1, "repeats": "cnn3_dp"}
    with pytest.raises(UserError, match=r"^reference\.per_variant\.again: got 16, .* 4, as for cnn3_dp$"):
        check_params(params)
    params["reference"]["per_variant"]["again"] = 4
    check_params(params)


@pytest.mark.parametrize("of", ["again", "cnn2_canary"])
def test_a_remedy_is_for_no_repeat_and_no_audit_twin(of):
    params = copy.deepcopy(PARAMS)
    params["variants"]["again"] = {**params["variants"]["cnn3"], "seed": 1, "repeats": "cnn3"}
    check_params(params)
    params["variants"]["residual"]["remedy_of"] = of
    those = "cnn2, cnn3, cnn3_augment, residual, cnn3_dp, scatter_dp"
    with pytest.raises(UserError, match=rf"residual\.remedy_of: got '{of}', allowed: one of {those}$"):
        check_params(params)


def test_a_remedy_is_for_a_variant_that_has_a_file(conf):
    file = conf / "conf/variant/cnn3_dp.yaml"
    file.write_text(file.read_text().replace("remedy_of: cnn3", "remedy_of: cnn33"))
    with pytest.raises(UserError, match=r"cnn3_dp\.yaml: remedy_of: got 'cnn33', allowed: the files of "):
        compose.main([])


def test_groups_of_columns_need_columns():
    params = copy.deepcopy(PARAMS)
    params["attack"] |= {"groups": "columns", "slices": ["entire", "group"]}
    with pytest.raises(UserError, match=r"attack\.groups: got 'columns', allowed: null or a file"):
        check_params(params)
    params["dataset"] = {"name": "table", "path": "own_data/t.csv", "label": "ill", "groups": ["sex"]}
    check_params(params | {"variants": {"cnn2": params["variants"]["cnn2"]}})
