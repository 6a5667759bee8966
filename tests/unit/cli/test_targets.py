"""Objects named on the command line: found, or refused in a sentence."""

import sys

import pytest

from zkinfer.circuits.errors import InputError
from zkinfer.cli.targets import find


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module into the current directory; returns its name, which no other test uses."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def write(text):
        name = f"net_{abs(hash(tmp_path))}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_attribute_of_a_module_in_the_current_directory_is_found(module):
    assert find(f"{module('def make(): return 7')}:make")() == 7


def test_attribute_within_an_object_is_found(module):
    name = module("class A:\n    b = 5")
    assert find(f"{name}:A.b") == 5


@pytest.mark.parametrize("target", ["net", "net:", ":make", "", ":"])
def test_target_that_is_no_pair_is_refused(target):
    with pytest.raises(InputError, match=r"is not module:callable.*net:make_model"):
        find(target)


@pytest.mark.parametrize("target", ["net.py:make", "folder/net.py:make", "folder/net:make"])
def test_file_is_refused_with_the_module_to_write(target):
    with pytest.raises(InputError, match=r"is a file, not a module.*write net:make"):
        find(target)


@pytest.mark.parametrize("name", ["no_such_module", "no_such_package.inner", "json.no_such"])
def test_missing_module_is_refused(name):
    with pytest.raises(InputError, match=f"There is no module '{name}'.*Looked in"):
        find(f"{name}:make")


def test_missing_attribute_is_refused(module):
    with pytest.raises(InputError, match="has no attribute 'make'"):
        find(f"{module('x = 1')}:make")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise ValueError('no weights')", "Importing .* fails: ValueError: no weights At net_.*, line 1"),
        ("import sys\nsys.exit(3)", "SystemExit: 3 At net_.*, line 2"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def (", "SyntaxError"),
    ],
)
def test_module_that_fails_is_refused_with_its_error(module, text, message):
    with pytest.raises(InputError, match=message):
        find(f"{module(text)}:make")
