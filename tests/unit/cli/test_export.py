"""The options of `zkinfer export`, and the results allowed for its callable."""

import sys

import pytest
import typer

from zkinfer.circuits.errors import InputError
from zkinfer.cli.export import import_target, make_module, parse_shape


@pytest.mark.parametrize(
    ("text", "described"),
    [
        ("image=1,64", "image float32[1, 64]"),
        ("tokens=1,16:int64", "tokens int64[1, 16]"),
        ("x=3", "x float32[3]"),
        ("a.b=1:bool", "a.b bool[1]"),
    ],
)
def test_shape_is_parsed_as_name_sizes_and_type(text, described):
    assert parse_shape(text).describe() == described


@pytest.mark.parametrize("text", ["", "image", "image=", "=1", "image=1,", "image=1x64", "image=-1", "image=1:", "i=²"])
def test_malformed_shape_is_a_usage_error(text):
    with pytest.raises(typer.BadParameter, match=r"is not NAME=SIZES\[:TYPE\]"):
        parse_shape(text)


@pytest.mark.parametrize("text", ["image=0", "image=1:complex64", "image=1,1,1,1,1,1,1,1,1", "image=99999999"])
def test_unsupported_shape_is_a_usage_error(text):
    with pytest.raises(typer.BadParameter, match="image="):
        parse_shape(text)


@pytest.fixture
def linear():
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install '.[torch]'")
    return torch.nn.Linear(2, 1)


def test_callable_may_return_a_module_or_a_pair(linear):
    assert make_module(lambda: linear, "net:make") == (linear, None)
    assert make_module(lambda: (linear, {"x": 1}), "net:make") == (linear, {"x": 1})


def test_target_may_be_a_module_object(linear):
    assert make_module(linear, "net:model") == (linear, None)


@pytest.mark.parametrize("result", [None, 3, (), (1, 2)])
def test_callable_with_another_result_is_refused(linear, result):
    with pytest.raises(InputError, match=r"net:make returns an object of type \w+"):
        make_module(lambda: result, "net:make")


def test_uncallable_object_is_refused(linear):
    with pytest.raises(InputError, match="is an object of type int, which cannot be called"):
        make_module(3, "net:make")


def test_failing_callable_is_refused_with_its_error(linear):
    with pytest.raises(InputError, match="Calling net:make fails: ZeroDivisionError: division by zero"):
        make_module(lambda: 1 / 0, "net:make")


def test_callable_that_needs_arguments_is_refused(linear):
    with pytest.raises(InputError, match=r"Calling net:make fails: TypeError: .*missing 1 required"):
        make_module(lambda size: linear, "net:make")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module into the current directory; returns its unique name."""
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
    assert import_target(f"{module('def make(): return 7')}:make")() == 7


def test_attribute_within_an_object_is_found(module):
    name = module("class A:\n    b = 5")
    assert import_target(f"{name}:A.b") == 5


@pytest.mark.parametrize("target", ["net", "net:", ":make", "", ":"])
def test_malformed_target_is_refused(target):
    with pytest.raises(InputError, match=r"is not module:callable.*net:make_model"):
        import_target(target)


@pytest.mark.parametrize("target", ["net.py:make", "folder/net.py:make", "folder/net:make"])
def test_file_is_refused_with_the_module_name_to_use(target):
    with pytest.raises(InputError, match=r"is a file, not a module.*write net:make"):
        import_target(target)


@pytest.mark.parametrize("name", ["no_such_module", "no_such_package.inner", "json.no_such"])
def test_missing_module_is_refused(name):
    with pytest.raises(InputError, match=f"There is no module '{name}'.*Looked in"):
        import_target(f"{name}:make")


def test_missing_attribute_is_refused(module):
    with pytest.raises(InputError, match="has no attribute 'make'"):
        import_target(f"{module('x = 1')}:make")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise ValueError('no weights')", "Importing .* fails: ValueError: no weights At net_.*, line 1"),
        ("import sys\nsys.exit(3)", "SystemExit: 3 At net_.*, line 2"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def (", "SyntaxError"),
    ],
)
def test_failing_module_is_refused_with_its_error(module, text, message):
    with pytest.raises(InputError, match=message):
        import_target(f"{module(text)}:make")
