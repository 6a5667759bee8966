import json
from decimal import Decimal

import pytest

from zkinfer.oracle.errors import RecipeError, SourceError
from zkinfer.oracle.selectors import Selector


def texts(path, document):
    return Selector.parse(path).texts(json.loads(document, parse_float=Decimal, parse_int=Decimal))


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("prices[*].close", '{"prices": [{"close": 1.50}, {"close": "2"}]}'),
        ("[*]", '[1.50, "2"]'),
        ("[*][1]", '[[0, 1.50], [0, "2", 3]]'),
        ("a[0].b-c[*].d_e.f", '{"a": [{"b-c": [{"d_e": {"f": 1.50}}, {"d_e": {"f": "2"}}]}]}'),
    ],
)
def test_numbers_are_found_as_they_are_written(path, document):
    assert texts(path, document) == ["1.50", "2"]


@pytest.mark.parametrize(
    "path", ["", "a", "a[0]", "[*][*]", "a..b[*]", ".a[*]", "a[*].", "a[01][*]", "a[-1][*]", "a [*]", "$[*]", "a[*]b"]
)
def test_malformed_path_is_refused(path):
    with pytest.raises(RecipeError, match=r"malformed|exactly once"):
        Selector.parse(path)


@pytest.mark.parametrize(
    ("path", "document", "reason"),
    [
        ("a[*].b", '{"c": []}', "nothing at 'a'"),
        ("a[*].b", '{"a": {}}', "no list"),
        ("a[*].b", '{"a": [{"b": 1}, {}]}', "nothing at 'b'"),
        ("a[*].b", '{"a": [1]}', "nothing at 'b'"),
        ("[3][*]", "[[1]]", "nothing at 3"),
        ("[*]", "[true]", "'True'"),
        ("[*]", "[[1]]", "number is needed"),
        ("[*]", "[null]", "number is needed"),
    ],
)
def test_document_of_another_form_is_refused(path, document, reason):
    with pytest.raises(SourceError, match=reason):
        texts(path, document)


def test_empty_list_has_no_numbers():
    assert texts("[*]", "[]") == []
