"""What a registry says of a listing, and how that differs from what was to be registered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from zkinfer.contracts.errors import AlreadyRegisteredError
from zkinfer.contracts.registration import VISIBILITIES

if TYPE_CHECKING:
    from zkinfer.contracts.registration import Registration, Visibility

Status = Literal["unknown", "active", "deprecated", "revoked"]
STATUSES: Final[tuple[Status, ...]] = ("unknown", "active", "deprecated", "revoked")


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing, as `Model` in IModelRegistry.sol; `inputs` and `outputs` are numbers of public values.

    It is what the publisher said. Whether the key was made from the ONNX file no registry can tell.
    """

    model_id: str
    onnx_digest: str
    key_digest: str
    key: str
    setup: str
    selector: str
    visibility: Visibility
    inputs: int
    outputs: int
    status: Status
    publisher: str
    owner: str
    pending_owner: str
    fee: int
    uri: str

    @classmethod
    def of(cls, model: Any) -> Self:  # noqa: ANN401 - a decoded tuple
        """What `modelOf` returned."""
        model_id, onnx, key_digest, key, setup, selector, visibility, slots, status, *rest = model
        publisher, owner, pending_owner, fee, uri = rest
        return cls(
            model_id="0x" + model_id.hex(),
            onnx_digest="0x" + onnx.hex(),
            key_digest="0x" + key_digest.hex(),
            key=key,
            setup="0x" + setup.hex(),
            selector="0x" + selector.hex(),
            visibility=VISIBILITIES[visibility],
            inputs=slots[2],
            outputs=slots[4],
            status=STATUSES[status],
            publisher=publisher,
            owner=owner,
            pending_owner=pending_owner,
            fee=fee,
            uri=uri,
        )

    def require(self, registration: Registration) -> None:
        """Return if it is active and says all that a registration says; raise AlreadyRegisteredError if not."""
        if self.status != "active":
            raise AlreadyRegisteredError(
                f"The model was registered before, and is {self.status}.", "That never changes back."
            )
        wanted = {
            "selector": "0x" + registration.selector.hex(),
            "visibility": registration.visibility,
            "inputs": registration.inputs,
            "outputs": registration.outputs,
            "fee": registration.fee,
            "uri": registration.uri,
        }
        for name, value in wanted.items():
            if (found := getattr(self, name)) != value:
                raise AlreadyRegisteredError(
                    f"The model was registered before, and its {name} is {found!r} instead of {value!r}.",
                    "Fee and URI can be changed by the listing's owner; nothing else can.",
                )
