"""The commands `zkinfer works print-circuit`, `pixels` and `print`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from zkinfer.cli.compile import warn_about_setup
from zkinfer.cli.console import (
    exit_on_error,
    plain,
    print_facts,
    print_json,
    print_result,
    progress_display,
    require_extra,
)
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.works.print_model import Length
    from zkinfer.works.prints import Print

PictureFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A picture: GIF, JPEG, PNG, TIFF or WebP.", show_default=False)
]
ProvenBy = Annotated[Path, typer.Option("--circuit", help="The circuit folder to prove with.", show_default=False)]


def circuit_command(
    out: Annotated[Path, typer.Option(help="The circuit folder to write; must not exist.", show_default=False)],
    bits: Annotated[int, typer.Option(help="64 to look works up, 256 as evidence.")] = 256,
    setup: Annotated[
        str | None, typer.Option(help="The ceremony to use. Default: the smallest real one that is large enough.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compile the circuit of the ISCC Image-Code, the same for everybody, from an ONNX file that everybody can make.

    Auditors make the file with `zkinfer.works.print_model.print_network`, and verify with it.

    Example: zkinfer works print-circuit --out print.circuit
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.engines import engine_named
        from zkinfer.circuits.home import Home
        from zkinfer.works.print_model import compile_print, margin

        length = cast("Length", bits)  # compile_print refuses others
        made = compile_print(length, out, engine=engine_named("ashlar"), home=Home.from_environment(), setup=setup)
        manifest = made.circuit.manifest
        warn_about_setup(manifest.recipe.setup.is_insecure_dev)
        facts = {"circuit": str(out), "modelId": manifest.identity.model_id, "bits": bits, "margin": margin(length)}
        print_facts(facts)
        if as_json:
            print_json({"ok": True, **facts})


def pixels_command(
    file: PictureFile,
    out: Annotated[Path, typer.Option(help="The input file (.npz) to write; must not exist.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Write a picture's normalised pixels as the input of a fingerprint circuit, for `zkinfer chain request`.

    The pixels of a proof are public: a grey thumbnail of 32 x 32.

    Example: zkinfer works pixels work.png --out pixels.npz
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.storage import refuse_existing
        from zkinfer.circuits.tensor_files import to_npz
        from zkinfer.works.prints import pixels_commitment

        refuse_existing(out)
        pixels = _normalised(file)
        to_npz(out, _as_input(pixels))
        facts = {"pixels": "0x" + pixels_commitment(pixels).hex(), **_codes(pixels)}
        print_facts(facts)
        if as_json:
            print_json({"ok": True, **facts})


def print_command(
    file: PictureFile,
    circuit: ProvenBy,
    out: Annotated[Path, typer.Option(help="The attestation to write; must not exist.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Prove the fingerprint of a picture.

    For a proof that a chain records, make a request of `zkinfer works pixels` instead, and prove that.

    Example: zkinfer works print work.png --circuit print.circuit --out print.json
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.home import Home
        from zkinfer.circuits.manifest import Circuit
        from zkinfer.circuits.storage import refuse_existing, write_atomically
        from zkinfer.prover import Prover
        from zkinfer.works.prints import read_print

        refuse_existing(out)
        with progress_display(quiet=as_json) as display:
            opened, pixels = Circuit.open(circuit), _normalised(file)
            attestation = Prover(home=Home.from_environment()).prove(opened, _as_input(pixels), observer=display)
        found = read_print(attestation.predicate.statement.outputs)
        write_atomically(out, attestation.to_bytes())
        facts = {"attestation": str(out), "modelId": opened.model_id, **_facts(found)}
        print_facts(facts)
        print_result(f"[green]✓[/] {plain(out)}: the fingerprint of these pixels, proven and attested")
        if as_json:
            print_json({"ok": True, **facts})


def _normalised(file: Path) -> NDArray[np.uint8]:
    with require_extra("works"):
        from zkinfer.works.content import decode
        from zkinfer.works.pixels import normalise
    return normalise(decode(file))


def _as_input(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
    import numpy as np

    return {"pixels": pixels.reshape(1, -1).astype(np.float32)}


def _codes(pixels: NDArray[np.uint8]) -> dict[str, str]:
    """Both codes, without a proof; a picture may have the short one alone, or none."""
    from zkinfer.circuits.errors import DataError
    from zkinfer.works.iscc import encode
    from zkinfer.works.prints import LENGTHS, print_of

    codes = {}
    for length in LENGTHS:
        try:
            codes[f"iscc{length}"] = encode(print_of(pixels, length).bits, length)
        except DataError as err:
            codes[f"iscc{length}"] = f"none: {err.cause}"
    return codes


def _facts(found: Print) -> dict[str, Any]:
    with require_extra("works"):
        from zkinfer.works.iscc import encode
    return {"iscc": encode(found.bits, found.length), "sureBits": found.sure.bit_count()}
