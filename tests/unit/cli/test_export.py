"""The options of `zkinfer export` and what its callable may return."""

import pytest
import typer

from zkinfer.circuits.errors import InputError
from zkinfer.cli.export import made, parse_shape


@pytest.mark.parametrize(
    ("text", "described"),
    [
        ("image=1,64", "image float32[1, 64]"),
        ("tokens=1,16:int64", "tokens int64[1, 16]"),
        ("x=3", "x float32[3]"),
        ("a.b=1:bool", "a.b bool[1]"),
    ],
)
def test_shape_is_a_name_with_sizes_and_a_type(text, described):
    assert parse_shape(text).describe() == described


@pytest.mark.parametrize("text", ["", "image", "image=", "=1", "image=1,", "image=1x64", "image=-1", "image=1:", "i=²"])
def test_shape_that_is_none_is_wrong_usage(text):
    with pytest.raises(typer.BadParameter, match=r"is not NAME=SIZES\[:TYPE\]"):
        parse_shape(text)


@pytest.mark.parametrize("text", ["image=0", "image=1:complex64", "image=1,1,1,1,1,1,1,1,1", "image=99999999"])
def test_shape_that_no_tensor_has_is_wrong_usage(text):
    with pytest.raises(typer.BadParameter, match="image="):
        parse_shape(text)


@pytest.fixture
def linear():
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install '.[torch]'")
    return torch.nn.Linear(2, 1)


def test_callable_may_return_a_module_or_a_pair(linear):
    assert made(lambda: linear, "net:make") == (linear, None)
    assert made(lambda: (linear, {"x": 1}), "net:make") == (linear, {"x": 1})


def test_module_itself_may_be_named(linear):
    assert made(linear, "net:model") == (linear, None)


@pytest.mark.parametrize("result", [None, 3, (), (1, 2)])
def test_callable_that_returns_something_else_is_refused(linear, result):
    with pytest.raises(InputError, match=r"net:make returns an object of type \w+"):
        made(lambda: result, "net:make")


def test_object_that_cannot_be_called_is_refused(linear):
    with pytest.raises(InputError, match="is an object of type int, which cannot be called"):
        made(3, "net:make")


def test_callable_that_raises_is_refused_with_its_error(linear):
    with pytest.raises(InputError, match="Calling net:make fails: ZeroDivisionError: division by zero"):
        made(lambda: 1 / 0, "net:make")


def test_callable_that_wants_arguments_is_refused(linear):
    with pytest.raises(InputError, match=r"Calling net:make fails: TypeError: .*missing 1 required"):
        made(lambda size: linear, "net:make")
