"""A user's own code is where DVC sees it change, or installed; else training refuses it in one line."""

import pytest
from sandbox import ROOT

from privacy_report.errors import UserError
from privacy_report.pipeline.component import Component
from privacy_report.training import plan
from privacy_report.training.declared import check_declared
from privacy_report.training.job import NOWHERE
from privacy_report.training.schema import Variant


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("key", ["model", "optimizer", "schedule", "loss"])
def test_a_module_that_dvc_does_not_see_is_refused(key):
    config = Variant("V", **{key: Component("own_nets.alone")})  # next to the tests
    with pytest.raises(
        UserError, match=rf"^{key}\.path: own_nets\.alone is in .*, allowed: a module in nets/"
    ) as error:
        check_declared(config)
    assert "\n" not in str(error.value)


def test_a_module_that_one_in_nets_imports_is_refused_where_dvc_does_not_see_it(tmp_path, monkeypatch):
    """The memo would see an edit of it, but no stage would run."""
    monkeypatch.setattr("privacy_report.training.declared.OWN", tmp_path / "nets_of_test")
    monkeypatch.syspath_prepend(tmp_path)
    for path, text in (("nets_of_test/a.py", "import beside_nets"), ("beside_nets.py", "")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    said = (
        r"^model\.path: nets_of_test\.a\.net imports .*/beside_nets\.py, allowed: modules in .*nets_of_test/"
    )
    with pytest.raises(UserError, match=said):
        check_declared(Variant("V", Component("nets_of_test.a.net")))
    (tmp_path / "nets_of_test/a.py").write_text("import numpy")
    check_declared(Variant("V", Component("nets_of_test.a.net")))


def test_modules_in_nets_and_installed_ones_are_taken():
    check_declared(Variant("V", Component("nets.perceptron.perceptron")))
    check_declared(Variant("V"))
    absent = Variant("V", Component("no_such_nets.net"))
    check_declared(absent)  # it is in no folder
    with pytest.raises(UserError, match="no module 'no_such_nets'"):
        plan.target("v", absent, NOWHERE)
