"""The page on serving names every setting, and nothing else."""

import re
from pathlib import Path

from pydantic import BaseModel

from zkinfer.service.settings import Settings

PAGE = (Path(__file__).parents[3] / "docs/serving.md").read_text()


def names(model, prefix=""):
    for name, field in model.model_fields.items():
        group = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        yield from names(field.annotation, f"{name}.") if group else [prefix + name]


def test_settings_of_the_page_are_those_that_there_are():
    table = PAGE.partition("| setting |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([a-z_.]+)`", row)} == set(names(Settings))


def test_settings_with_a_default_say_the_one_that_holds():
    told = dict(re.findall(r"^\| `([a-z_.]+)` \| (\d+) \|", PAGE, re.MULTILINE))
    defaults = {name: default_of(Settings, name.split(".")) for name in told}
    assert len(told) > 8
    assert {name: float(value) for name, value in told.items()} == {
        name: float(value) for name, value in defaults.items()
    }


def default_of(model, path):
    field = model.model_fields[path[0]]
    return field.default if len(path) == 1 else default_of(field.annotation, path[1:])
