"""Whether somebody may use a work now: by the rule of the market's `covers`, from the licences that were sold.

A licence covers what it permits, for the account that holds it or the domain that its buyer named, until it runs out. A
licence that was sold stays, even where its work was found to be a copy: then the answer says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select

from zkinfer.contracts.errors import SubjectError
from zkinfer.contracts.market import FOREVER, domain_of, subject_of
from zkinfer.v1 import works_pb2
from zkinfer.works.directory.label import NO, YES
from zkinfer.works.directory.tables import licences, offers
from zkinfer.works.directory.views import offers_of, standing_of
from zkinfer.works.errors import QueryError
from zkinfer.works.terms import Use

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from zkinfer.works.directory.views import State

_ACCOUNT: Final = re.compile(r"0x[0-9a-f]{40}")
_PERMISSIONS: Final = {str(one.name).lower(): one for one in Use if one is not Use.ATTRIBUTION}
_UPHELD: Final = " This work was found to be a copy of an older one: whether it could be licensed at all is in doubt."


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants to do what: an account, or a domain in its one form, and the permissions that are needed."""

    uses: Use
    account: str = ""
    domain: str = ""

    @classmethod
    def of(cls, subject: str, uses: Iterable[str]) -> Asked:
        """Read a question.

        Args:
            subject: `dns:acme.example`, or an account: 0x and 40 hex digits.
            uses: some of commercial, derivatives, training and inference.

        Raises QueryError for anything else.
        """
        wanted = Use(0)
        for word in uses:
            if word not in _PERMISSIONS:
                raise QueryError(f"{word[:40]!r} is no use.", f"Name some of {', '.join(_PERMISSIONS)}.")
            wanted |= _PERMISSIONS[word]
        if not wanted:
            raise QueryError("No use is named.", f"Name some of {', '.join(_PERMISSIONS)}.")
        account = subject.strip().lower()
        if _ACCOUNT.fullmatch(account):
            return cls(wanted, account=account)
        if not subject.startswith("dns:"):
            cause = f"{subject[:80]!r} is no subject." if subject else "No subject is named."
            raise QueryError(cause, "Write who wants to use it: dns:acme.example, or an account: 0x...")
        try:
            return cls(wanted, domain=domain_of(subject.removeprefix("dns:")))
        except SubjectError as err:
            raise QueryError(err.cause, err.cure) from err

    @property
    def who(self) -> str:
        """Who asks, as licences name them."""
        return self.account or f"dns:{self.domain}"


def authorisation_of(
    connection: Connection, state: State, work: str, asked: Asked, now: int
) -> works_pb2.Authorisation:
    """Whether a licence of a work covers what is asked now; the one that lasts longest, if several do.

    Args:
        connection: to the database.
        state: of the directory.
        work: that is registered.
        asked: who wants to do what.
        now: in Unix seconds.
    """
    standing = standing_of(connection, work)
    found = _covering(connection, work, asked, now)
    words = ", ".join(asked.uses.words)
    answer = works_pb2.Authorisation(
        work=work,
        authorised=NO if found is None else YES,
        offers=offers_of(connection, work, standing),
        as_of=state.block,
    )
    if found is None:
        answer.text = f"No licence that is known here allows {asked.who} this now: {words}."
    else:
        answer.licence, answer.holder = str(found.number), found.holder
        if found.until != FOREVER:
            answer.until.CopyFrom(Timestamp(seconds=found.until))
        claimed = f" Its holder {found.holder} named that domain, and nobody proves it." if asked.domain else ""
        answer.text = f"Licence {found.number} allows {asked.who} this: {words}.{claimed}"
    if standing == "upheld":
        answer.text += _UPHELD
    return answer


def _covering(connection: Connection, work: str, asked: Asked, now: int) -> Any:  # noqa: ANN401 - a row of these columns, or None
    whose = licences.c.holder == asked.account
    if asked.domain:
        whose = licences.c.subject == subject_of(asked.domain)
    terms = select(offers.c.offer, offers.c.uses).distinct().subquery()
    query = (
        select(licences.c.number, licences.c.holder, licences.c.until, terms.c.uses)
        .join(terms, terms.c.offer == licences.c.offer)
        .where(licences.c.work == work, licences.c.until >= now, whose)
        .order_by(licences.c.until.desc(), licences.c.number)
    )
    return next((row for row in connection.execute(query) if asked.uses in Use(row.uses)), None)
