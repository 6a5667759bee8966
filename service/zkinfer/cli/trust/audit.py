"""What an auditor does with a trust root: `zkinfer trust show`, `verify`, `update`, `list` and `forget`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from zkinfer.cli.console import exit_on_error, plain, print_facts, print_json, print_result, print_table, say
from zkinfer.cli.options import AsJson
from zkinfer.cli.trust.publish import RootPath

if TYPE_CHECKING:
    from zkinfer.verifier.trustroot.document import TrustRoot
    from zkinfer.verifier.trustroot.pins import Pins
    from zkinfer.verifier.trustroot.signed import RootFile


def _parse_fingerprint(text: object) -> str:
    """A fingerprint of root keys; raises typer.BadParameter for anything else."""
    word = str(text).strip()
    if _FINGERPRINT.fullmatch(word) is None:
        raise typer.BadParameter(f"{word[:80]!r} is not a fingerprint: write it as sha256: and 64 hex digits")
    return word


_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
RootFingerprint = Annotated[
    str | None,
    typer.Option(
        "--root-fingerprint",
        parser=_parse_fingerprint,
        metavar="SHA256",
        help="Require this fingerprint of its root keys, which you have from its publisher by another channel; "
        "`zkinfer trust show` prints that of a file.",
    ),
]


def pins() -> Pins:
    """The accepted trust roots of this user."""
    from zkinfer.circuits.home import Home
    from zkinfer.verifier.trustroot.pins import Pins

    return Pins(Home.from_environment().trust)


def _accepted_names(incomplete: str) -> list[str]:
    return [name for name in pins().names() if name.startswith(incomplete)]


def show_command(file: RootPath, as_json: AsJson = False) -> None:
    """Show what the last version of a trust root lists, who may sign it, and what it has revoked. Verifies nothing."""
    with exit_on_error(as_json=as_json):
        from zkinfer.verifier.trustroot.publisher import missing_signatures
        from zkinfer.verifier.trustroot.signed import RootFile

        opened = RootFile.read(file)
        root, missing = opened.current.root, missing_signatures(opened)
        show_root(root)
        print_result(f"[yellow]{plain(missing)}[/]" if missing else "Signed by enough of its root keys.")
        if as_json:
            content = root.model_dump(mode="json", by_alias=True)
            names = {"digest": str(opened.current.digest), "fingerprint": root.fingerprint}
            print_json({"ok": True, "complete": not missing, "root": content} | names)


def verify_command(file: RootPath, root_fingerprint: RootFingerprint = None, as_json: AsJson = False) -> None:
    """Verify a trust root: its signatures, its expiry, and that it continues the version you accepted before, if any.

    Changes nothing; `zkinfer trust update` accepts it, and so does `zkinfer verify --trust-root`.

    Example: zkinfer trust verify acme.trust.json
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.verifier.trustroot.rotation import require_current, require_fingerprint, require_history
        from zkinfer.verifier.trustroot.signed import RootFile

        opened = RootFile.read(file)
        pin = pins().find(opened.name)
        if root_fingerprint is not None:
            require_fingerprint(opened, root_fingerprint)
        require_history(opened, None if pin is None else pin.signed)
        require_current(opened.current.root, datetime.now(UTC))
        root = opened.current.root
        print_result(f"[green]✓[/] {plain(file)}: version {root.version} of {plain(root.name)} is valid")
        if pin is None:
            say_first_use(opened, root_fingerprint)
        if as_json:
            print_json({"ok": True, "firstUse": pin is None} | facts(opened))


def update_command(file: RootPath, root_fingerprint: RootFingerprint = None, as_json: AsJson = False) -> None:
    """Accept a trust root, or a newer version of one; older ones and other ones of its name are refused from then on.

    Example: zkinfer trust update acme.trust.json
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.verifier.trustroot.signed import RootFile

        opened = RootFile.read(file)
        is_first = pins().accept(opened, datetime.now(UTC), fingerprint=root_fingerprint)
        root = opened.current.root
        print_result(f"[green]✓[/] accepted version {root.version} of {plain(root.name)}, expires {root.expires}")
        if is_first:
            say_first_use(opened, root_fingerprint)
        if as_json:
            print_json({"ok": True, "firstUse": is_first} | facts(opened))


def list_command(as_json: AsJson = False) -> None:
    """List the trust roots that you have accepted."""
    with exit_on_error(as_json=as_json):
        stored = pins()
        found = [pin.signed for name in stored.names() if (pin := stored.find(name)) is not None]
        if not found:
            say("[dim]None was accepted yet: zkinfer trust update ROOT.json[/]")
        table = Table("name", "version", "expires", "root keys", box=None)
        for signed in found:
            root = signed.root
            table.add_row(
                root.name, str(root.version), root.expires, f"{root.roots.threshold} of {len(root.roots.keys)}"
            )
        if found:
            print_table(table)
        if as_json:
            roots = [{"name": one.root.name, "version": one.root.version, "expires": one.root.expires} for one in found]
            print_json({"ok": True, "roots": roots})


def forget_command(
    name: Annotated[str, typer.Argument(help="The name of a trust root.", autocompletion=_accepted_names)],
    as_json: AsJson = False,
) -> None:
    """Forget that a trust root was accepted: the next file of its name is trusted without regard to the former one.

    Only do this if its publisher has told you that the root keys were lost.
    """
    with exit_on_error(as_json=as_json):
        pins().forget(name)
        print_result(f"[green]✓[/] {plain(name)} is forgotten")
        if as_json:
            print_json({"ok": True, "name": name})


def say_first_use(file: RootFile, expected: str | None) -> None:
    """Say which root keys were taken as they are, unless they have the fingerprint that the user expected."""
    root = file.current.root
    if expected is not None:
        return
    say(
        f"[yellow]First use of the trust root {plain(file.name)}:[/] its root keys were taken as they are in the file. "
        "Compare their fingerprint with its publisher's, by another channel than the file's; --root-fingerprint "
        f"requires it:\n  {root.fingerprint}\nIt is that of {root.roots.threshold} of {len(root.roots.keys)} keys:"
    )
    for key in root.roots.keys:
        say(f"  {key.fingerprint} {plain(key.label)}")


def facts(file: RootFile) -> dict[str, Any]:
    """The JSON form of which root a verification used."""
    root = file.current.root
    return {
        "name": root.name,
        "version": root.version,
        "expires": root.expires,
        "digest": str(file.current.digest),
        "fingerprint": root.fingerprint,
        "rootKeys": [key.fingerprint for key in root.roots.keys],
        "threshold": root.roots.threshold,
    }


def show_root(root: TrustRoot) -> None:
    """Show a root as a list of facts, and its entries one per line."""
    print_facts(
        {
            "name": root.name,
            "version": root.version,
            "issued": root.issued,
            "expires": root.expires,
            "setups": ", ".join(root.setups) or "none",
            "engines": ", ".join(root.engines) or "none",
            "chains": ", ".join(f"{chain.chain_id} (ledger {chain.ledger})" for chain in root.chains) or "none",
            "log required": "yes" if root.log_required else "no",
            "root keys": f"{root.roots.threshold} of {len(root.roots.keys)} must sign the next version",
            "fingerprint": root.fingerprint,
        }
    )
    for title, lines in _entries(root).items():
        if lines:
            print_result(f"[bold]{title}[/]")
        for line in lines:
            print_result(f"  {plain(line)}")


def _entries(root: TrustRoot) -> dict[str, list[str]]:
    models = []
    for model in root.models:
        circuits = ["any circuit"] if model.circuits == "any" else [f"circuit {circuit}" for circuit in model.circuits]
        models += [_line(model.sha256, model.label, _period(model)), *(f"  {circuit}" for circuit in circuits)]
    return {
        "root keys": [_line(key.fingerprint, key.label) for key in root.roots.keys],
        "models": models,
        "signers": [_line(signer.fingerprint, signer.label, _period(signer)) for signer in root.signers],
        "transparency logs": [_line(log.origin, log.fingerprint) for log in root.logs],
        "revoked": [
            _line(one.kind, one.id, f"since {one.since}" if one.since else "from the beginning", one.reason)
            for one in root.revocations
        ],
    }


def _line(*parts: str) -> str:
    return "  ".join(part for part in parts if part)


def _period(entry: Any) -> str:  # noqa: ANN401 - a model or a signer
    limits = {"from": entry.valid_from, "until": entry.valid_until}
    return " ".join(f"{word} {moment}" for word, moment in limits.items() if moment)
