"""What a server says of its models and proofs, as its JSON documents have it. All of it is the server's claim.

The documents are the messages of `proto/zkinfer/v1` in JSON; see docs/guides/rest.md. Fields that are unknown here are
ignored, so that a newer server can be browsed.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import JsonError
from zkinfer.ui.errors import ServerError

STATES: Final = ("QUEUED", "PROVING", "VERIFYING", "SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")
_UNKNOWN: Final = "UNSPECIFIED"
_MODEL_READY: Final = "MODEL_STATE_READY"
DocumentT = TypeVar("DocumentT", bound="Document")


def _state(name: str) -> str:
    """The state without the prefix of its type; one that is unknown here is unspecified."""
    short = name.removeprefix("PROOF_STATE_")
    return short if short in STATES else _UNKNOWN


def _seconds(text: object) -> object:
    """The seconds of a duration such as `1.5s`."""
    return text.removesuffix("s") if isinstance(text, str) and text.endswith("s") else text


Share = Annotated[float, Field(ge=0, le=1)]
Error = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0, lt=1 << 64)]
Seconds = Annotated[float, Field(ge=0), BeforeValidator(_seconds)]


class Document(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class ModelCost(Document):
    """The predicted cost of one proof: seconds on the server, None if not measured; bytes; gas on a chain."""

    seconds: Seconds | None = Field(default=None, alias="prove_duration")
    memory_bytes: Count
    proof_bytes: Count
    gas: Count


class ModelFidelity(Document):
    """The circuit compared with the float model at compile time; errors are shares of the output's range."""

    data: str
    samples: Count
    agreement: Share
    error_p50: Error
    error_p99: Error
    error_max: Error
    model_accuracy: Share | None = None
    circuit_accuracy: Share | None = None


class Tensor(Document):
    """An input or output."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.datatype} {list(self.shape)}"


class ServedModel(Document):
    """One version of one model; of an unavailable one, name, version and reason alone are known."""

    name: str
    version: str
    state: str
    newest: bool = False
    reason: str = ""
    model_id: str = ""
    model_digest: str = ""
    engine: str = ""
    setup: str = ""
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    labels: tuple[str, ...] = ()
    cost: ModelCost | None = None
    fidelity: ModelFidelity | None = None

    @property
    def ready(self) -> bool:
        """Whether it can be used."""
        return self.state == _MODEL_READY


class ModelPage(Document):
    """One page of the list of models."""

    models: tuple[ServedModel, ...]
    next_page_token: str = ""


class _Progress(Document):
    state: Annotated[str, AfterValidator(_state)]
    progress: Share = 0.0
    model: str = ""
    version: str = ""
    request_id: str = ""
    create_time: AwareDatetime | None = None
    end_time: AwareDatetime | None = None


class _Response(Document):
    attestation_digest: str = ""


class _Failure(Document):
    message: str = ""


class Proof(Document):
    """The job that proves one answer."""

    operation: str = Field(alias="name")
    done: bool
    metadata: _Progress
    response: _Response = _Response()
    failure: _Failure = Field(default=_Failure(), alias="error")

    @property
    def state(self) -> str:
        """One of `STATES`, or `UNSPECIFIED`."""
        return self.metadata.state

    @property
    def error(self) -> str:
        """Why the proof failed; empty if it did not."""
        return self.failure.message


class ProofPage(Document):
    """One page of the list of proofs, newest first."""

    operations: tuple[Proof, ...]


class Problem(Document):
    """A problem document (RFC 9457): `detail` gives cause and cure."""

    detail: str
    code: str = ""
    reason: str = ""
    retry_after: Error | None = None
    request_id: str = ""


def parsed(kind: type[DocumentT], data: bytes, what: str) -> DocumentT:
    """The document in an answer; raises ServerError if it has another form."""
    try:
        document: Any = canonical.load(data, max_bytes=len(data), what=what)
        return kind.model_validate(document)
    except JsonError as err:
        raise ServerError(err.cause, _ANOTHER) from err
    except ValidationError as err:
        first = err.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))[:80] or "the document"
        raise ServerError(f"The server's {what} is malformed at {place}: {first['msg']}.", _ANOTHER) from err


_ANOTHER: Final = "Is this the HTTP address of a `zkinfer serve` of this version?"
