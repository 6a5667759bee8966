"""Sections of a page of measurements, of which each is written by a program of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_section(page: Path, text: str) -> None:
    """Put a section into a page, in the place of the section with the same title or at the end."""
    page.write_text(with_section(page.read_text(), text))


def with_section(page: str, text: str) -> str:
    """The page with this section, whose first line is its title."""
    old = section_of(page, title_of(text))
    return page.replace(old, text.rstrip() + "\n") if old else f"{page.rstrip()}\n\n{text.rstrip()}\n"


def section_of(page: str, title: str) -> str:
    """The section with this title, such as `## Title`; empty if there is none."""
    found = re.search(rf"^{re.escape(title)}\n.*?(?=^## |\Z)", page, flags=re.DOTALL | re.MULTILINE)
    return found[0].rstrip() + "\n" if found else ""


def with_other_sections(page: str, old: str) -> str:
    """A new page, followed by those sections of its old version that it does not write itself."""
    for title in re.findall(r"^## .*$", old, flags=re.MULTILINE):
        if not section_of(page, title):
            page = with_section(page, section_of(old, title))
    return page


def title_of(text: str) -> str:
    """The first line."""
    return text.split("\n", 1)[0]
