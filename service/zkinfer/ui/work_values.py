"""What a server says of works, as parsed from its JSON; see proto/zkinfer/v1/works.proto."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AwareDatetime, Field, StringConstraints

from zkinfer.ui.server_values import Count, Document

ISCC_BITS: Final = 256
_MAX_TEXT: Final = 2000
_MAX_LIST: Final = 1000


Id = Annotated[str, StringConstraints(pattern="^0x[0-9a-f]{64}$")]
Word = Annotated[str, StringConstraints(pattern="^(0x[0-9a-f]{64})?$")]
Account = Annotated[str, StringConstraints(pattern="^(0x[0-9a-fA-F]{40})?$")]
Number = Annotated[str, StringConstraints(pattern="^[0-9]{0,78}$")]
Wei = Annotated[str, StringConstraints(pattern="^[0-9]{1,78}$")]
Text = Annotated[str, Field(max_length=_MAX_TEXT)]
Name = Annotated[str, Field(max_length=64)]
BasisPoints = Annotated[int, Field(ge=0, le=10_000)]
Bits = Annotated[int, Field(ge=0, le=ISCC_BITS)]


class WorksBlock(Document):
    """The last block that the server has followed."""

    chain_id: Count
    works: Account
    block: Count
    time: AwareDatetime | None = None


class WorkLabel(Document):
    """Whether a model made a work: `ai_generated` is yes, no or unknown; `level` says how much that rests on."""

    ai_generated: Name = "unknown"
    basis: Name = "none"
    level: Name = ""
    text: Text = ""
    model_id: Text = ""
    record: Word = ""


class WorkParent(Document):
    """A work that another one derives from, and its share of the other's income."""

    work: Id
    share_bps: BasisPoints


class WorkOffer(Document):
    """An open offer of a licence. `duration` in seconds, 0 for ever; `price` in wei."""

    offer: Word = ""
    price: Wei
    duration: Count
    share_bps: BasisPoints
    uses: Annotated[tuple[Name, ...], Field(max_length=16)] = ()
    terms: Text = ""
    uri: Text = ""


class WorkIncome(Document):
    """In wei: ever received, and of it shared with parents, kept by owners, not yet settled."""

    received: Wei
    shared: Wei
    kept: Wei
    pending: Wei


class WorkFlag(Document):
    """An older work's owner says that the younger one copies it."""

    older: Word
    younger: Word
    distance: Bits
    compared: Bits
    state: Name
    answer_by: AwareDatetime | None = None


class WorkCertificate(Document):
    """What the creator signed."""

    name: Text = ""
    media_type: Text = ""
    size: Count = 0
    sha256: Text = ""
    iscc64: Text = ""
    iscc256: Text = ""
    key: Text = ""
    training: Name = ""
    mining: Name = ""
    inference: Name = ""


class Work(Document):
    """A registered work; texts are empty where there is nothing to say."""

    work: Id
    creator: Account
    owner: Account
    kind: Name
    origin: Name
    label: WorkLabel = WorkLabel()
    since: AwareDatetime | None = None
    standing: Name
    content: Word = ""
    manifest: Word = ""
    attestation: Word = ""
    pixels: Word = ""
    record: Word = ""
    resale_bps: BasisPoints = 0
    uri: Text = ""
    till: Account = ""
    parents: Annotated[tuple[WorkParent, ...], Field(max_length=_MAX_LIST)] = ()
    children: Annotated[tuple[Id, ...], Field(max_length=_MAX_LIST)] = ()
    offers: Annotated[tuple[WorkOffer, ...], Field(max_length=_MAX_LIST)] = ()
    income: WorkIncome | None = None
    flags: Annotated[tuple[WorkFlag, ...], Field(max_length=_MAX_LIST)] = ()
    certificate: WorkCertificate | None = None
    print_bits: Word = ""
    print_sure: Word = ""
    as_of: WorksBlock | None = None

    @property
    def name(self) -> str:
        """The name in the certificate; empty if the server has none."""
        return "" if self.certificate is None else self.certificate.name


class WorkMatch(Document):
    """A work that a look-up found; without a distance it is the file itself."""

    work: Work
    by: Name
    distance: Bits | None = None
    compared: Bits | None = None


class Lookup(Document):
    """What a look-up found. `authorised` is yes, no or unknown, of the first match."""

    certified: bool
    label: WorkLabel = WorkLabel()
    authorised: Name
    standing: Name
    offers: Annotated[tuple[WorkOffer, ...], Field(max_length=_MAX_LIST)] = ()
    matches: Annotated[tuple[WorkMatch, ...], Field(max_length=_MAX_LIST)] = ()
    as_of: WorksBlock | None = None
    not_proven: Annotated[tuple[Text, ...], Field(max_length=32)] = ()


class Authorisation(Document):
    """Whether somebody may use a work now, and under which licence."""

    work: Id
    authorised: Name
    licence: Number = ""
    until: AwareDatetime | None = None
    holder: Account = ""
    text: Text = ""
    offers: Annotated[tuple[WorkOffer, ...], Field(max_length=_MAX_LIST)] = ()
