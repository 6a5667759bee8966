"""Works as the interface describes them, read from the directory's tables in one snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select

from zkinfer.contracts.works import ZERO_WORD
from zkinfer.v1 import works_pb2
from zkinfer.works.certificate import Certificate
from zkinfer.works.directory import tables
from zkinfer.works.directory.label import Generation, label_of, label_of_certified
from zkinfer.works.errors import DirectoryError, NotIndexedError
from zkinfer.works.kinds import Origin
from zkinfer.works.terms import Use

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Table

MAX_CHILDREN: Final = 1000
MAX_OFFERS: Final = 100
MAX_FLAGS: Final = 100


@dataclass(frozen=True, slots=True)
class State:
    """What the directory is of, how far it is, and whether its proven prints may be relied on."""

    revision: int
    prints_sound: bool
    block: works_pb2.WorksBlock


def state_of(connection: Connection) -> State:
    """The directory's state; raises DirectoryError if no chain was followed yet."""
    row = connection.execute(select(tables.state)).one()
    if row.block is None:
        raise DirectoryError("The directory has followed no chain yet.", "Run: zkinfer works index")
    block = works_pb2.WorksBlock(chain_id=row.chain_id, works=row.works, block=row.block, time=_time(row.time))
    return State(row.revision, row.prints_sound, block)


def work_of(connection: Connection, state: State, work: str) -> works_pb2.Work:
    """All that is known of a work; raises NotIndexedError if there is none of this id."""
    row = connection.execute(select(tables.works).where(tables.works.c.work == work)).first()
    if row is None:
        raise NotIndexedError(
            f"There is no work {work} up to block {state.block.block}.", "Has it been registered, and is it settled?"
        )
    certificate = _certificate_of(connection, work)
    generation = _generation_of(connection, work)
    origin = Origin.GENERATED if generation else Origin(row.origin)
    prints = _last(connection, tables.prints, tables.prints.c.work == work) if state.prints_sound else None
    standing = standing_of(connection, work)
    return works_pb2.Work(
        work=work,
        creator=row.creator,
        owner=_last(connection, tables.transfers, tables.transfers.c.work == work).owner,
        kind=row.kind,
        origin=origin,
        label=label_of(origin, generation, None if certificate is None else certificate.predicate),
        since=_time(row.since),
        standing=standing,
        content=_given(row.content),
        manifest=_given(row.manifest),
        attestation=_given(row.attestation),
        pixels=_given(row.pixels),
        record="" if generation is None else generation.record,
        resale_bps=row.resale_bps,
        uri=row.uri,
        till=row.till,
        parents=_parents_of(connection, work),
        children=_children_of(connection, work),
        offers=offers_of(connection, work, standing),
        income=_income_of(connection, work),
        flags=_flags_of(connection, work),
        certificate=None if certificate is None else _certified(connection, row, certificate),
        print_bits="" if prints is None else prints.bits,
        print_sure="" if prints is None else prints.sure,
        as_of=state.block,
    )


def label_of_certified_file(connection: Connection, work: str) -> works_pb2.WorkLabel:
    """The label of the file that a registered work's certificate names.

    A record proves how the work's content was made. What that says of the file is known only if the certificate names
    the same answer: anybody can register a proven answer with a certificate of anything, even with somebody else's.
    """
    row = connection.execute(select(tables.works).where(tables.works.c.work == work)).one()
    certificate, generation = _certificate_of(connection, work), _generation_of(connection, work)
    if generation is None or certificate is None or f"0x{certificate.predicate.content.outputs}" != row.content:
        return label_of(Origin(row.origin), None, None if certificate is None else certificate.predicate)
    return label_of_certified(label_of(Origin.GENERATED, generation, certificate.predicate))


def standing_of(connection: Connection, work: str) -> str:
    """Whether a work was found to be similar to an older one."""
    last = _last(connection, tables.standings, tables.standings.c.work == work)
    return "clear" if last is None else str(last.standing)


def offers_of(connection: Connection, work: str, standing: str) -> list[works_pb2.WorkOffer]:
    """The offers that are open now, newest first; none of a work that was found to be a copy."""
    if standing == "upheld":
        return []
    made = _rows(connection, tables.offers, tables.offers.c.work == work)
    ends = tables.offer_ends
    among = select(tables.offers.c.offer).where(tables.offers.c.work == work)
    ended = {row.offer: _place(row) for row in _rows(connection, ends, ends.c.offer.in_(among))}
    latest = {row.offer: row for row in made}
    still = [row for row in latest.values() if ended.get(row.offer, (-1, -1)) < _place(row)]
    return [_offer(row) for row in sorted(still, key=_place, reverse=True)[:MAX_OFFERS]]


def _offer(row: Row[Any]) -> works_pb2.WorkOffer:
    return works_pb2.WorkOffer(
        offer=row.offer,
        price=row.price,
        duration=row.duration,
        share_bps=row.share_bps,
        uses=Use(row.uses).words,
        terms=_given(row.terms),
        uri=row.uri,
    )


def _generation_of(connection: Connection, work: str) -> Generation | None:
    proofs, models = tables.proofs, tables.models
    query = (
        select(proofs.c.record, models.c.model_id, models.c.sound, models.c.reason)
        .outerjoin(models, models.c.listing == proofs.c.listing)
        .where(proofs.c.work == work)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    if row.sound is None:
        return Generation(row.record, "", sound=False, reason="It was not looked at since it was found.")
    return Generation(row.record, row.model_id, row.sound, row.reason)


def _certificate_of(connection: Connection, work: str) -> Certificate | None:
    """The certificate that a work names; it was verified before it was kept."""
    works, kept = tables.works, tables.certificates
    query = select(kept.c.document).join(works, tables.CERTIFIED).where(works.c.work == work)
    document = connection.scalar(query)
    return None if document is None else Certificate.from_bytes(document)


def _certified(connection: Connection, row: Row[Any], certificate: Certificate) -> works_pb2.WorkCertificate:
    kept = tables.manifests
    manifest = connection.scalar(select(kept.c.manifest_id).where(kept.c.digest == row.manifest))
    content, rights = certificate.predicate.content, certificate.predicate.rights
    return works_pb2.WorkCertificate(
        name=certificate.name,
        media_type=content.media_type,
        size=content.size,
        sha256=certificate.sha256,
        iscc64=content.iscc64 or "",
        iscc256=content.iscc256 or "",
        key=certificate.envelope.keyid,
        training="" if rights is None else rights.training,
        mining="" if rights is None else rights.mining,
        inference="" if rights is None else rights.inference,
        manifest_id=manifest or "",
    )


def _parents_of(connection: Connection, work: str) -> list[works_pb2.WorkParent]:
    parents = tables.parents
    rows = connection.execute(select(parents).where(parents.c.work == work).order_by(parents.c.number))
    return [works_pb2.WorkParent(work=row.parent, share_bps=row.share_bps) for row in rows]


def _children_of(connection: Connection, work: str) -> list[str]:
    parents = tables.parents
    query = select(parents.c.work).where(parents.c.parent == work).order_by(parents.c.block, parents.c.work)
    return list(connection.scalars(query.limit(MAX_CHILDREN)))


def _income_of(connection: Connection, work: str) -> works_pb2.WorkIncome:
    paid = _rows(connection, tables.payments, tables.payments.c.work == work)
    settled = _rows(connection, tables.settlements, tables.settlements.c.work == work)
    received = sum(int(row.amount) for row in paid)
    shared, kept = sum(int(row.shared) for row in settled), sum(int(row.kept) for row in settled)
    amounts = {"received": received, "shared": shared, "kept": kept, "pending": received - shared - kept}
    return works_pb2.WorkIncome(**{name: str(amount) for name, amount in amounts.items()})


def _flags_of(connection: Connection, work: str) -> list[works_pb2.WorkFlag]:
    flags, moves = tables.flags, tables.flag_moves
    raised = _rows(connection, flags, (flags.c.younger == work) | (flags.c.older == work))
    states: dict[tuple[str, str], str] = {}
    for row in _rows(connection, moves, (moves.c.younger == work) | (moves.c.older == work)):
        pair = (row.younger, row.older)
        if (states.get(pair), row.state) != ("acknowledged", "released"):  # the one follows from the other
            states[pair] = row.state
    return [
        works_pb2.WorkFlag(
            older=row.older,
            younger=row.younger,
            distance=row.distance,
            compared=row.compared,
            state=states.get((row.younger, row.older), "flagged"),
            answer_by=_time(row.answer_by),
        )
        for row in raised[:MAX_FLAGS]
    ]


def _rows(connection: Connection, table: Table, where: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """The facts of a table, oldest first."""
    return connection.execute(select(table).where(where).order_by(table.c.block, table.c.place)).all()


def _last(connection: Connection, table: Table, where: ColumnElement[bool]) -> Any:  # noqa: ANN401 - a row of any table
    newest = select(table).where(where).order_by(table.c.block.desc(), table.c.place.desc()).limit(1)
    return connection.execute(newest).first()


def _place(row: Row[Any]) -> tuple[int, int]:
    return row.block, row.place


def _given(word: str) -> str:
    return "" if word == ZERO_WORD else word


def _time(seconds: int) -> Timestamp:
    return Timestamp(seconds=seconds)
