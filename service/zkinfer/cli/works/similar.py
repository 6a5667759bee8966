"""The commands `zkinfer works record-print`, `flag`, `answer`, `uphold` and `release`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    expand_options,
    open_chain,
    open_deployment,
)
from zkinfer.cli.chain.request import read_own_request
from zkinfer.cli.console import exit_on_error
from zkinfer.cli.options import AsJson, AttestationFile
from zkinfer.cli.works.options import Work, WorksAddress, finish, parse_work, work_id

if TYPE_CHECKING:
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.similarity import Similarity


Younger = Annotated[
    int, typer.Argument(parser=parse_work, metavar="YOUNGER", help="The work that was flagged.", show_default=False)
]
Older = Annotated[int, typer.Argument(parser=parse_work, metavar="OLDER", help="The older work.", show_default=False)]


@expand_options
def record_command(
    work: Work,
    attestation: AttestationFile,
    works: WorksAddress,
    request: Annotated[Path, typer.Option(help="The request that it answers, recorded by `zkinfer chain post`.")],
    connection: Connection,
    payment: Payment,
    as_json: AsJson = False,
) -> None:
    """Store a work's recorded fingerprint, so that it can be compared. Re-running is idempotent.

    Example: zkinfer works record-print 0x12... print.json --request request.json --works 0x... --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, payment), connection)
        from zkinfer.chain.post import match_answers
        from zkinfer.verifier import Attestation
        from zkinfer.works.prints import read_print

        placed = read_own_request(deployed, request)
        claim = Attestation.read(attestation)
        match_answers(deployed, [claim], [placed])
        outputs = claim.predicate.statement.outputs
        found = read_print(outputs)
        _contract(deployed.chain, works).print(work, placed.request, outputs, found.bits)
        finish(deployed.chain, {"work": work_id(work), "bits": hex(found.bits)}, as_json=as_json)


@expand_options
def flag_command(
    younger: Younger,
    older: Older,
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    as_json: AsJson = False,
) -> None:
    """Flag a work whose proven fingerprint is nearly that of your older one. Re-running is idempotent.

    A flag asks its owner for an answer. It moves no money and no token, and says nothing about who copied whom.

    Example: zkinfer works flag 0x34... 0x12... --works 0x... --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        contract = _contract(chain, works)
        distance, compared = contract.distance(younger, older)
        contract.flag(younger, older)
        finish(chain, {"distance": distance, "compared": compared, **_state(contract, younger, older)}, as_json=as_json)


@expand_options
def answer_command(
    younger: Younger,
    older: Older,
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    licence: Annotated[
        int | None, typer.Option(help="Acknowledge: your licence of the older work, with DERIVATIVES.")
    ] = None,
    contest: Annotated[str | None, typer.Option(metavar="URI", help="Contest: where your reasons are.")] = None,
    as_json: AsJson = False,
) -> None:
    """Answer a flag of your work: by a licence of the older one, or by reasons against it. Re-running is idempotent.

    Example: zkinfer works answer 0x34... 0x12... --licence 7 --works 0x... --keystore me.json
    """
    if (licence is None) == (contest is None):
        raise typer.BadParameter("give either --licence N or --contest URI")
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        contract = _contract(chain, works)
        if licence is not None:
            contract.acknowledge(younger, older, licence)
        elif contest is not None:
            contract.contest(younger, older, contest)
        finish(chain, _state(contract, younger, older), as_json=as_json)


@expand_options
def uphold_command(
    younger: Younger,
    older: Older,
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    as_json: AsJson = False,
) -> None:
    """Uphold a flag that its owner left unanswered for 14 days; anybody may. A contested one only the arbiter can.

    No more licences of the younger work are sold then. What it has earned, and its token, stay. Idempotent.

    Example: zkinfer works uphold 0x34... 0x12... --works 0x... --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        contract = _contract(chain, works)
        contract.uphold(younger, older)
        finish(chain, _state(contract, younger, older), as_json=as_json)


@expand_options
def release_command(
    younger: Younger,
    older: Older,
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    as_json: AsJson = False,
) -> None:
    """End a flag, as the owner of the older work or the arbiter, for ever. Re-running is idempotent.

    Example: zkinfer works release 0x34... 0x12... --works 0x... --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        contract = _contract(chain, works)
        contract.release(younger, older)
        finish(chain, _state(contract, younger, older), as_json=as_json)


def _contract(chain: Chain, works: str) -> Similarity:
    """The contract that compares these works; raises DeploymentError or CodeMismatchError, as `similarity_at`."""
    from zkinfer.contracts.similarity import Similarity
    from zkinfer.contracts.work_parts import similarity_at

    return Similarity(chain, similarity_at(chain, works))


def _state(contract: Similarity, younger: int, older: int) -> dict[str, Any]:
    flag = contract.flag_of(younger, older)
    return {"stage": flag.stage.name.lower(), "answerBy": flag.answer_by, "contested": flag.contested}
