"""Files beside a file that say what may be done with it: credentials, XMP, and terms."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from zkinfer.circuits.errors import InputError, why

if TYPE_CHECKING:
    from pathlib import Path

ENDINGS: Final = {".c2pa": "c2pa", ".xmp": "xmp", ".terms.toml": "terms"}
"""What follows the name of a file, with or without its suffix, and what such a sidecar holds."""


class Sidecars:
    """The sidecars in the folders of some files; each folder is listed once.

    Names are compared as file systems do that ignore case and forms of Unicode, since a file may have come from one. An
    entry counts whatever it is: that a folder, or a link to nothing, can be read is not decided here.
    """

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, list[tuple[str, Path]]]] = {}

    def of(self, path: Path) -> list[tuple[str, Path]]:
        """What each sidecar of a file holds, and its path; of a link, those of its target too.

        Raises:
            InputError: a folder cannot be listed.
        """
        found: dict[Path, str] = {}
        for one in {path.absolute(), path.resolve()}:
            folder = self._listed(one.parent)
            for name in {_folded(one.name), _folded(one.stem)}:
                found.update({beside: kind for kind, beside in folder.get(name, ())})
        return [(found[beside], beside) for beside in sorted(found)]

    def _listed(self, folder: Path) -> dict[str, list[tuple[str, Path]]]:
        if folder not in self._folders:
            try:
                names = [one.name for one in folder.iterdir()]
            except OSError as err:
                raise InputError(f"{folder} cannot be listed: {why(err)}.", "Allow it: sidecars may be in it.") from err
            self._folders[folder] = _by_name(folder, names)
        return self._folders[folder]


def _by_name(folder: Path, names: list[str]) -> dict[str, list[tuple[str, Path]]]:
    found: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for name in names:
        folded = _folded(name)
        for ending, kind in ENDINGS.items():
            if folded.endswith(ending):
                found[folded.removesuffix(ending)].append((kind, folder / name))
    return dict(found)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
