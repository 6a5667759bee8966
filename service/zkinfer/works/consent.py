"""Whether files say that models may be trained on them: in C2PA credentials, in XMP, or in files beside them.

Files are read in a child process with limits, hundreds at a time. Of several answers the strictest holds. A file that
says nothing has no answer: that it was handed in is then its contributor's word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zkinfer.circuits.errors import EngineError
from zkinfer.circuits.sandbox.child import Limits, run
from zkinfer.works.answers import Consent
from zkinfer.works.kinds import Permission
from zkinfer.works.sidecars import Sidecars

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BATCH: Final = 500
_MEMORY: Final = 3_000_000_000
_Files = list[tuple[str, list[tuple[str, str]]]]


def consents(paths: Sequence[Path]) -> list[Consent]:
    """What each file says about training, in their order.

    Raises:
        InputError: a file cannot be read, or is too large.
    """
    sidecars = Sidecars()
    files = [(str(path.absolute()), [(kind, str(side)) for kind, side in sidecars.of(path)]) for path in paths]
    found: list[Consent] = []
    for first in range(0, len(files), BATCH):
        found += _read(files[first : first + BATCH])
    return found


def _read(files: _Files) -> list[Consent]:
    """The answers; a batch that breaks the child is halved until the file that does it is alone."""
    limits = Limits(seconds=60.0 + 0.5 * len(files), memory=_MEMORY)
    try:
        answers = run("zkinfer.works.answers:read_here", {"files": files}, limits=limits)
    except EngineError as err:
        if len(files) == 1:
            return [Consent(Permission.NOT_ALLOWED, "none", f"it could not be read safely: {err.cause}")]
        half = len(files) // 2
        return _read(files[:half]) + _read(files[half:])
    return [Consent(None if training is None else Permission(training), *rest) for training, *rest in answers]
