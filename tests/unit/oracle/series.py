"""Recipes and observations for tests."""

from fractions import Fraction

from zkinfer.oracle.observations import observation_of
from zkinfer.oracle.recipes import Recipe

NOW = 1_800_000_123


def recipe(**changes):
    """A recipe for three levels at scale 4 in 2 bytes; `encoding` changes the encoding's fields."""
    encoding = {"scale": 4, "width": 2, "signed": True, "shape": (1, 3), **changes.pop("encoding", {})}
    fields = {"count": 3, "select": "prices[*].close", "bounds": ("1", "1000"), "form": "level", "tolerance": "0.01"}
    return Recipe.make(**{**fields, **changes}, encoding=encoding)


def returns(**changes):
    """The same for three returns at scale 10."""
    return recipe(**{"form": "return", "encoding": {"scale": 10}, **changes})


def observed(texts, about=None, **changes):
    return observation_of(about or recipe(), texts, observed_at=NOW, origin="test", **changes)


def fractions(*numbers):
    return [Fraction(one) for one in numbers]
