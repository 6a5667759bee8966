"""A circuit: an immutable folder whose every byte is named by its manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.errors import CircuitError, why
from zkinfer.circuits.manifest import Manifest, parse_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.circuits.digest import Digest

MANIFEST = "manifest.json"
MODEL = "model.onnx"


@dataclass(frozen=True, slots=True)
class Circuit:
    """A circuit folder that was checked file by file when it was opened."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the manifest and compare every file with it.

        Raises:
            CircuitError: no circuit, a malformed manifest, a missing, changed or additional file.
        """
        try:
            manifest = parse_manifest((folder / MANIFEST).read_bytes())
        except (FileNotFoundError, NotADirectoryError) as err:
            raise CircuitError(
                f"{folder} is not a circuit: it has no {MANIFEST}.", "Make one with `zkinfer compile MODEL.onnx`."
            ) from err
        except OSError as err:
            raise CircuitError(f"{folder} cannot be read: {why(err)}.") from err
        found = {path.name for path in folder.iterdir()} - {MANIFEST}
        if odd := sorted(found ^ set(manifest.files)):
            raise CircuitError(f"{folder} and its manifest disagree about {odd[0]}.", "Copy the circuit again.")
        for name, digest in manifest.files.items():
            path = folder / name
            if path.is_symlink() or not path.is_file() or str(sha256_file(path)) != digest:
                raise CircuitError(f"{path} is not the file that the manifest names.", "Copy the circuit again.")
        if manifest.files.get(MODEL) != manifest.identity.model:
            raise CircuitError(f"{folder} does not hold the model that it claims to be made from.")
        return cls(folder, manifest)

    @property
    def digest(self) -> Digest:
        """SHA-256 of the manifest: names the folder's whole content."""
        return self.manifest.digest

    @property
    def model_id(self) -> str:
        """The identity used on chain and in policies: of the ONNX file and the verifying key."""
        return self.manifest.identity.model_id
