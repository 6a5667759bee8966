"""What a publisher does: `zkinfer trust init`, `add`, `remove`, `revoke` and `sign`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.console import exit_on_error, plain, print_json, print_result, say
from zkinfer.cli.options import AsJson, PassphraseFile, key_passphrase, parse_moment, parse_period
from zkinfer.cli.trust.entries import Additions, Removals, document, identifier

if TYPE_CHECKING:
    from zkinfer.verifier.trustroot.signed import RootFile

RootPath = Annotated[Path, typer.Argument(metavar="ROOT.json", help="The file of the trust root.", show_default=False)]
Lifetime = Annotated[
    timedelta | None,
    typer.Option(parser=parse_period, metavar="PERIOD", help="Until this version expires: 30d or 52w. Default: 52w."),
]
RootKeys = Annotated[
    list[Path] | None, typer.Option("--root-key", metavar="KEY.pub", help="Key that may sign the root; repeatable.")
]
Threshold = Annotated[
    int | None, typer.Option(min=1, help="Number of root keys that must sign the next version.", show_default=False)
]
_A_YEAR = timedelta(weeks=52)


def init_command(
    file: RootPath,
    name: Annotated[str, typer.Option(help="Name by which auditors know it, such as your domain.", show_default=False)],
    root_key: Annotated[
        list[Path],
        typer.Option(metavar="KEY.pub", help="Key that may sign the trust root; repeatable.", show_default=False),
    ],
    threshold: Annotated[
        int | None, typer.Option(min=1, help="Number of root keys that must sign. Default: more than half of them.")
    ] = None,
    setup: Annotated[
        list[str] | None, typer.Option(help="Accepted ceremony; repeatable. Default: all real ones.")
    ] = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="Accepted engine; repeatable. Default: the default engine.")
    ] = None,
    expires_in: Lifetime = None,
    as_json: AsJson = False,
) -> None:
    """Begin a trust root: a new file, not signed yet, that lists no models and no signers.

    Example: zkinfer trust init acme.trust.json --name acme.example --root-key root-1.key.pub --root-key root-2.key.pub
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.engines import DEFAULT_ENGINE
        from zkinfer.circuits.storage import refuse_existing
        from zkinfer.verifier import REAL_CEREMONIES, load_public_key
        from zkinfer.verifier.trustroot.publisher import new_root

        refuse_existing(file, cure="Choose another name, or change it with `zkinfer trust add`.")
        begun = new_root(
            name,
            [load_public_key(path) for path in root_key],
            threshold=threshold or len(root_key) // 2 + 1,
            setups=setup or sorted(REAL_CEREMONIES),
            engines=engine or [DEFAULT_ENGINE],
            now=datetime.now(UTC),
            lifetime=expires_in or _A_YEAR,
        )
        _write(file, begun, as_json=as_json)


def add_command(
    file: RootPath,
    circuit: Annotated[
        list[Path] | None, typer.Option(metavar="FOLDER", help="Accept this circuit and its ONNX file; repeatable.")
    ] = None,
    any_circuit_of: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="MODEL.onnx", help="Accept every circuit of this file, with any quantisation a prover chooses."
        ),
    ] = None,
    signer: Annotated[
        list[Path] | None, typer.Option(metavar="KEY.pub", help="Accept attestations by this key; repeatable.")
    ] = None,
    setup: Annotated[list[str] | None, typer.Option(help="Accept this ceremony; repeatable.")] = None,
    engine: Annotated[list[str] | None, typer.Option(help="Accept this engine; repeatable.")] = None,
    chain: Annotated[
        list[str] | None, typer.Option(metavar="ID=LEDGER", help="Accept requests on this chain; repeatable.")
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="Accept proofs of this transparency log: its key, or ORIGIN=KEY.pub."),
    ] = None,
    require_log: Annotated[
        bool | None, typer.Option("--require-log/--no-require-log", help="Accept only what a log holds.")
    ] = None,
    root_key: RootKeys = None,
    threshold: Threshold = None,
    label: Annotated[str, typer.Option(help="A remark for the circuits and signers, shown to auditors.")] = "",
    valid_from: Annotated[
        datetime | None,
        typer.Option(parser=parse_moment, metavar="DATE", help="From when circuits and signers count."),
    ] = None,
    valid_until: Annotated[
        datetime | None,
        typer.Option(parser=parse_moment, metavar="DATE", help="Until when they count."),
    ] = None,
    expires_in: Lifetime = None,
    as_json: AsJson = False,
) -> None:
    """Add to a trust root; begins its next version if the last one is signed.

    Example: zkinfer trust add acme.trust.json --circuit digits.circuit --signer prover.key.pub --valid-until 2027-12-31
    """
    additions = Additions(
        circuits=circuit or [],
        any_circuit_of=any_circuit_of or [],
        signers=signer or [],
        setups=setup or [],
        engines=engine or [],
        chains=chain or [],
        logs=log or [],
        require_log=require_log,
        root_keys=root_key or [],
        threshold=threshold,
        label=label,
        valid_from=valid_from,
        valid_until=valid_until,
    )
    with exit_on_error(as_json=as_json):
        _change(file, additions.changes, expires_in, as_json=as_json)


def remove_command(
    file: RootPath,
    model: Annotated[
        list[str] | None, typer.Option(metavar="MODEL.onnx|SHA256", help="An ONNX file with its circuits; repeatable.")
    ] = None,
    circuit: Annotated[
        list[str] | None, typer.Option(metavar="FOLDER|ID", help="One circuit of a model; repeatable.")
    ] = None,
    signer: Annotated[
        list[str] | None, typer.Option(metavar="KEY.pub|SHA256", help="A signer's key; repeatable.")
    ] = None,
    setup: Annotated[list[str] | None, typer.Option(help="A ceremony; repeatable.")] = None,
    engine: Annotated[list[str] | None, typer.Option(help="An engine; repeatable.")] = None,
    chain: Annotated[list[str] | None, typer.Option(metavar="ID", help="A chain; repeatable.")] = None,
    log: Annotated[list[str] | None, typer.Option(metavar="ORIGIN", help="A transparency log; repeatable.")] = None,
    root_key: Annotated[
        list[str] | None, typer.Option(metavar="KEY.pub|SHA256", help="A root key; repeatable.")
    ] = None,
    threshold: Threshold = None,
    expires_in: Lifetime = None,
    as_json: AsJson = False,
) -> None:
    """Remove from a trust root: it is not trusted from the next version on. What was accepted before stays acceptable
    as of then; use `zkinfer trust revoke` for what must not be.

    Example: zkinfer trust remove acme.trust.json --signer old.key.pub
    """
    removals = Removals(
        models=model or [],
        circuits=circuit or [],
        signers=signer or [],
        setups=setup or [],
        engines=engine or [],
        chains=chain or [],
        logs=log or [],
        root_keys=root_key or [],
        threshold=threshold,
    )
    with exit_on_error(as_json=as_json):
        _change(file, removals.changes, expires_in, as_json=as_json)


def revoke_command(
    file: RootPath,
    reason: Annotated[str, typer.Option(help="Why, in a few words; auditors see it.", show_default=False)],
    signer: Annotated[
        list[str] | None, typer.Option(metavar="KEY.pub|SHA256", help="A signer's key; repeatable.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="MODEL.onnx|SHA256", help="An ONNX file; repeatable.")
    ] = None,
    circuit: Annotated[list[str] | None, typer.Option(metavar="FOLDER|ID", help="A circuit; repeatable.")] = None,
    attestation: Annotated[
        list[str] | None, typer.Option(metavar="ATT.json|SHA256", help="An attestation; repeatable.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_moment,
            metavar="DATE",
            help="From when it counts; `verify --at` an earlier date still accepts. Default: from the beginning.",
        ),
    ] = None,
    expires_in: Lifetime = None,
    as_json: AsJson = False,
) -> None:
    """Revoke signers, models, circuits or attestations: permanently, and unless --since is given from the beginning.

    Example: zkinfer trust revoke acme.trust.json --signer prover.key.pub --reason "key leaked"
    """
    named = {"signer": signer or [], "model": model or [], "circuit": circuit or [], "attestation": attestation or []}
    with exit_on_error(as_json=as_json):
        from zkinfer.verifier.statement import write_time

        new = [
            {
                "kind": kind,
                "id": identifier(kind, text),
                "since": None if since is None else write_time(since),
                "reason": reason,
            }
            for kind, texts in named.items()
            for text in texts
        ]
        if not new:
            raise typer.BadParameter("name what to revoke, for example --signer KEY.pub")
        _change(file, lambda root: {"revocations": document(root)["revocations"] + new}, expires_in, as_json=as_json)


def sign_command(
    file: RootPath,
    key: Annotated[Path, typer.Option(help="A root key's private file.", show_default=False)],
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Sign the last version of a trust root. Look at it before: zkinfer trust show FILE.

    Example: zkinfer trust sign acme.trust.json --key root-1.key
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.verifier import load_signing_key
        from zkinfer.verifier.trustroot.publisher import signed_by
        from zkinfer.verifier.trustroot.signed import RootFile

        passphrase = key_passphrase(key, passphrase_file)
        signed = signed_by(RootFile.read(file), load_signing_key(key, passphrase=passphrase))
        _write(file, signed, as_json=as_json)


def _change(file: Path, changes: Any, lifetime: timedelta | None, *, as_json: bool) -> None:  # noqa: ANN401 - a function of a root
    from zkinfer.verifier.trustroot.publisher import changed, is_complete
    from zkinfer.verifier.trustroot.signed import RootFile

    before = RootFile.read(file)
    after = changed(before, changes(before.current.root), now=datetime.now(UTC), lifetime=lifetime or _A_YEAR)
    if before.current.signatures and not is_complete(before):
        say("[dim]The signatures of the unfinished version were dropped, since it has changed.[/]")
    _write(file, after, as_json=as_json)


def _write(path: Path, file: RootFile, *, as_json: bool) -> None:
    """Write the file, and say what the last version still needs."""
    from zkinfer.circuits.storage import write_atomically
    from zkinfer.verifier.trustroot.publisher import missing_signatures

    write_atomically(path, file.to_bytes())
    root, missing = file.current.root, missing_signatures(file)
    print_result(f"[green]✓[/] {plain(path)}: version {root.version} of {plain(root.name)}, expires {root.expires}")
    for name in ("models", "signers"):
        if not getattr(root, name):
            say(f"[dim]hint: it lists no {name} yet, so it accepts nothing[/]")
    if "insecure-dev" in root.setups:
        say("[bold red]It lists insecure-dev, under which anyone can forge proofs.[/]")
    print_result(f"  [yellow]not valid yet[/]: {plain(missing)}" if missing else "  signed by enough root keys")
    if as_json:
        print_json({"ok": True, "file": str(path), "name": root.name, "version": root.version, "complete": not missing})
