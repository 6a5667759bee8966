"""The languages of the page: one TOML file of texts each, in `texts/`. A further language is a further file.

A text may hold placeholders, such as `{count}`. A key is the path to it: `verify.title`.
"""

from __future__ import annotations

import re
import string
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_LANGUAGE: Final = "en"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The texts of one language, by key."""

    language: str
    texts: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text of this key with its placeholders filled in; raises KeyError if either is missing."""
        text = self.texts[key]
        return text.format_map(values) if values else text

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self.texts

    def known(self, group: str, text: str) -> str:
        """The translation of an English text of the library, if this group has it; else that text.

        Its key is the text itself: lower-case words joined by hyphens.
        """
        key = f"{group}.{'-'.join(re.findall('[a-z]+', text.lower()))}"
        return self.texts.get(key, text)

    @property
    def name(self) -> str:
        """The language's own name."""
        return self.texts["language.name"]


@cache
def catalogues() -> dict[str, Catalogue]:
    """All languages by code, the default one first."""
    folder = files("zkinfer.ui").joinpath("texts")
    codes = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
    codes.sort(key=lambda code: code != DEFAULT_LANGUAGE)
    return {code: _read(code, folder.joinpath(f"{code}.toml").read_text("utf-8")) for code in codes}


def placeholders(text: str) -> frozenset[str]:
    """The names of a text's placeholders."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(text) if name)


def preferred(accept: str) -> str:
    """The best language for an `Accept-Language` header; the default one if none matches."""
    known = catalogues()
    for tag, weight in sorted(_ranges(accept), key=lambda pair: -pair[1]):
        code = tag.partition("-")[0]
        if weight > 0 and code in known:
            return code
    return DEFAULT_LANGUAGE


def _read(code: str, text: str) -> Catalogue:
    return Catalogue(code, dict(_flat("", tomllib.loads(text))))


def _flat(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", str(value)


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """The tags of the header in lower case, with their weights; malformed ones are left out."""
    for entry in accept[:500].lower().split(","):
        tag, _, parameter = entry.strip().partition(";")
        weight = parameter.strip().removeprefix("q=") if parameter else "1"
        try:
            yield tag.strip(), float(weight)
        except ValueError:
            continue
