"""The command `zkinfer works certify`."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.options import expand_options, parse_address, parse_word
from zkinfer.cli.console import exit_on_error, plain, print_json, print_result, say
from zkinfer.cli.options import AsJson, PassphraseFile, open_signing_key
from zkinfer.cli.works.options import parse_work, require_works, work_id
from zkinfer.works.kinds import Kind, Origin

if TYPE_CHECKING:
    from zkinfer.works.certify import Facts, Mark
    from zkinfer.works.content import Content
    from zkinfer.works.statement import ChainClaim, Parent
    from zkinfer.works.terms import Terms

_KINDS = {"image": Kind.IMAGE, "audio": Kind.AUDIO, "video": Kind.VIDEO, "text": Kind.TEXT}


@dataclass(frozen=True, slots=True)
class Marking:
    """C2PA credentials to write."""

    mark: Annotated[Path | None, typer.Option(help="Write a copy with C2PA credentials, and certify the copy.")] = None
    sidecar: Annotated[Path | None, typer.Option(help="Write C2PA credentials beside the file.")] = None
    credentials: Annotated[Path | None, typer.Option(help="Folder of `works keys`, for --mark and --sidecar.")] = None


@dataclass(frozen=True, slots=True)
class Stated:
    """What is stated about the file besides its origin."""

    kind: Annotated[Kind | None, typer.Option(help="What it is. Default: by its media type.")] = None
    terms: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="cc-by, cc-by-nc, all-rights, stock, train-paid, or a file of terms."),
    ] = None
    attestation: Annotated[Path | None, typer.Option(help="Attestation of the inference that made it.")] = None
    record: Annotated[
        str | None, typer.Option(parser=parse_word, metavar="ID", help="Its record on the ledger: evidence is proven.")
    ] = None
    parent: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=WORK|FILE",
            help="What it was made from, by work id or file; files are named in C2PA credentials, too. Repeatable.",
        ),
    ] = None
    prompt_file: Annotated[Path | None, typer.Option(help="The prompt; only a salted commitment is written.")] = None
    show_prompt: Annotated[bool, typer.Option("--show-prompt", help="Write the prompt itself, for everybody.")] = False
    creator: Annotated[str, typer.Option(help="A name, as readers are to see it.")] = ""
    works: Annotated[
        str | None, typer.Option(parser=parse_address, metavar="ADDRESS", help="The contract that will register it.")
    ] = None
    chain_id: Annotated[int | None, typer.Option(min=1, help="The chain of --works.")] = None


@expand_options
def certify_command(
    file: Annotated[Path, typer.Argument(help="The file.", show_default=False)],
    origin: Annotated[Origin, typer.Option(help="Who or what made it.", show_default=False)],
    key: Annotated[Path, typer.Option(help="Signing key, as of `zkinfer keys new` or `works keys`.")],
    stated: Stated,
    marking: Marking,
    out: Annotated[Path, typer.Option(help="The certificate to write.")] = Path("work.json"),
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Certify a file: its digest and fingerprint, who made it, from what, and what may be done with it.

    Example: zkinfer works certify cat.png --origin human --terms cc-by --key ann.key
    """
    with exit_on_error(as_json=as_json):
        require_works()
        from zkinfer.circuits.storage import refuse_existing
        from zkinfer.works.certify import certify

        refuse_existing(out)
        signing_key = open_signing_key(key, passphrase_file)
        facts = _facts(file, origin, stated)
        marked = _mark(marking, passphrase_file)
        made = certify(file, facts, key=signing_key, created_at=datetime.now(UTC), marked=marked)
        made.write(out)
        print_result(f"[green]✓[/] {plain(out)} certifies {plain(made.name)}: {made.predicate.evidence.level} evidence")
        print_result(f"  sha256 {made.sha256}")
        if made.predicate.content.iscc256 is not None:
            print_result(f"  {made.predicate.content.iscc256}")
        elif _is_named_as_picture(file):
            say(f"[yellow]{plain(file)} is no picture by its first bytes: it has no fingerprint to be found by.[/]")
        if facts.prompt is not None and not facts.show_prompt:
            say(f"  [dim]keep this salt, to show the prompt later: {facts.salt.hex()}[/]")
        if as_json:
            print_json({"ok": True, "certificate": str(out), "sha256": made.sha256, "name": made.name})


def _is_named_as_picture(file: Path) -> bool:
    from zkinfer.works.content import PICTURES

    return mimetypes.guess_type(file.name)[0] in PICTURES


def _facts(file: Path, origin: Origin, stated: Stated) -> Facts:
    from zkinfer.works.certify import Facts
    from zkinfer.works.content import open_content

    parents = [_parent(one) for one in stated.parent or ()]
    return Facts(
        kind=stated.kind or _KINDS.get(open_content(file).media_type.partition("/")[0], Kind.OTHER),
        origin=origin,
        terms=None if stated.terms is None else _terms(stated.terms),
        attestation=stated.attestation,
        record=stated.record,
        parents=tuple(parent for parent, _ in parents),
        parent_files=tuple(file for _, file in parents if file is not None),
        prompt=None if stated.prompt_file is None else _prompt(stated.prompt_file),
        show_prompt=stated.show_prompt,
        chain=_chain(stated.works, stated.chain_id),
        creator=stated.creator,
    )


def _prompt(path: Path) -> str:
    from zkinfer.circuits.errors import InputError
    from zkinfer.circuits.storage import read_file
    from zkinfer.works.statement import MAX_PROMPT

    try:
        return read_file(path, max_bytes=MAX_PROMPT).decode()
    except UnicodeDecodeError as err:
        raise InputError(f"{path} is not UTF-8 text.", "Give the prompt as a text file.") from err


def _terms(text: str) -> Terms:
    from zkinfer.works.terms import PRESETS, Terms

    return Terms.preset(text) if text in PRESETS else Terms.load(Path(text))


def _parent(text: str) -> tuple[Parent, Content | None]:
    """A parent, and its file if that is how it is named."""
    from zkinfer.circuits.errors import InputError
    from zkinfer.works.content import open_content
    from zkinfer.works.statement import Parent

    role, _, named = text.partition("=")
    if not role or not named:
        raise InputError(f"The parent {text[:80]!r} has no role.", "Write --parent model=0x... or original=cat.png.")
    if named.startswith("0x"):
        return Parent(role=role, work=work_id(parse_work(named))), None
    content = open_content(Path(named))
    return Parent(role=role, sha256=content.sha256), content


def _chain(works: str | None, chain_id: int | None) -> ChainClaim | None:
    from zkinfer.circuits.errors import InputError
    from zkinfer.works.statement import ChainClaim

    if (works is None) != (chain_id is None):
        raise InputError("--works and --chain-id belong together.", "Give both, or neither.")
    return None if works is None or chain_id is None else ChainClaim(chain_id=chain_id, works=works)


def _mark(marking: Marking, passphrase_file: Path | None) -> Mark | None:
    from zkinfer.circuits.errors import InputError
    from zkinfer.circuits.storage import read_file
    from zkinfer.works.certify import Mark
    from zkinfer.works.credentials import Credentials
    from zkinfer.works.keys import CHAIN, KEY

    mark, sidecar, folder = marking.mark, marking.sidecar, marking.credentials
    out = mark or sidecar
    if out is None:
        return None
    if mark is not None and sidecar is not None:
        raise InputError("--mark and --sidecar are two ways to do the same.", "Give one.")
    if folder is None:
        raise InputError("There are no credentials to sign with.", "Make them: zkinfer works keys; give --credentials.")
    own = folder / KEY
    signer = open_signing_key(own, passphrase_file)
    return Mark(out, Credentials(read_file(folder / CHAIN, max_bytes=1 << 16), signer), sidecar=sidecar is not None)
