"""What the commands of works share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.cli.console import require_extra
from zkinfer.cli.options import read_passphrase

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.verifier import SigningKey


def require_works() -> None:
    """Raise the error that names the extra, if its libraries are missing."""
    with require_extra("works"):
        import zkinfer.works.credentials  # noqa: F401


def load_key(path: Path, passphrase_file: Path | None) -> SigningKey:
    """A signing key, with its passphrase from a file or the terminal if it is encrypted."""
    from zkinfer.verifier import is_encrypted, load_signing_key

    encrypted = is_encrypted(path)
    return load_signing_key(path, passphrase=read_passphrase(passphrase_file, confirm=False) if encrypted else None)
