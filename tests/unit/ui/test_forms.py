import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.ui.conftest import ORIGIN

from zkinfer.circuits.errors import InputError
from zkinfer.ui.forms import File, Form, _last_name

MULTIPART = "multipart/form-data; boundary=x"
BODIES = {
    "no boundary": ("multipart/form-data", b"--x--\r\n"),
    "no end": (MULTIPART, b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\nabc'),
    "no name": (MULTIPART, b"--x\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--x--\r\n"),
    "nonsense": (MULTIPART, b"\x00\xff" * 50),
    "charset": (
        f"{MULTIPART}; charset=nothing",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
    ),
    "long field": (
        MULTIPART,
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"b" * 20_000 + b"\r\n--x--\r\n",
    ),
    "not a form": ("application/json", b"{}"),
    "nothing": ("", b""),
    "bytes": ("application/x-www-form-urlencoded", b"token=%ff%fe&a=%00\xff"),
}


def post(browser, kind, body):
    headers = {"origin": ORIGIN} | ({"content-type": kind} if kind else {})
    return browser.http.post("/verify", content=body, headers=headers)


@pytest.mark.parametrize("name", BODIES)
def test_malformed_body_is_refused(browser, name):
    assert post(browser, *BODIES[name]).status_code in (400, 403)


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_body_is_refused(browser, body):
    assert post(browser, MULTIPART, b"--x\r\n" + body).status_code in (400, 403)


@pytest.mark.parametrize(
    "path", ["/tasks/%00", "/tasks/%ff/events", "/tasks/../../etc/passwd", "/static/%2e%2e/app.py", "/open/%00%ff"]
)
def test_hostile_path_is_refused(browser, path):
    assert browser.get(path).status_code in (403, 404)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\m.onnx", "m.onnx"),
        ("..", ".."),
        ("", "file"),
        ("a\nb\u202ec", "a\ufffdb\ufffdc"),
    ],
)
def test_name_of_a_file_is_its_last_part(name, shown):
    assert _last_name(name) == shown


@given(st.text())
def test_any_name_is_short_and_printable(name):
    shown = _last_name(name)
    assert 0 < len(shown) <= 100
    assert shown.isprintable()
    assert "/" not in shown


def test_missing_file_is_named():
    with pytest.raises(InputError, match="chosen as the model"):
        Form({}, {"other": File("o", b"")}).file("model", "model")


@pytest.mark.parametrize(("value", "ticked"), [("on", True), ("", False), ("true", False), (None, False)])
def test_box_is_ticked_by_its_own_value_alone(value, ticked):
    assert Form({} if value is None else {"box": value}, {}).is_set("box") is ticked
