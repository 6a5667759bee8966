"""How each request over HTTP becomes a call of a service, and what it is answered with."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf.duration_pb2 import Duration

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import Digest
from zkinfer.circuits.errors import DataError
from zkinfer.oip import messages
from zkinfer.service.documents import document_of
from zkinfer.service.errors import BadFieldError, in_field
from zkinfer.service.identity import caller
from zkinfer.service.rest.inference import HEADER_LENGTH, InferenceDecoder, encoded_response
from zkinfer.service.v1 import name_of
from zkinfer.v1 import models_pb2, proofs_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from zkinfer.service.rest.inference import Decoded
    from zkinfer.service.rest.request import HttpRequest
    from zkinfer.service.servicers import Servicers

JSON = "application/json"
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
_COUNT = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with.

    Args:
        status: of HTTP.
        body: whole, or in parts.
        headers: of the response.
    """

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IndexDecoder:
    """Decodes the body of a request for the index: empty, or an object with `ready`."""

    def count_numbers(self, data: bytes) -> int:
        """An upper bound of the values in it."""
        return len(data)

    async def decode(self, data: bytes) -> bool:
        """Whether only models that are ready are wanted; raises JsonError, BadFieldError."""
        document = canonical.load(data, max_bytes=4096, what="request") if data else {}
        ready = document.get("ready", False) if isinstance(document, dict) and not document.keys() - {"ready"} else None
        if type(ready) is not bool:
            raise BadFieldError("body", "It is not an object with nothing but ready, true or false.")
        return ready


@dataclass(frozen=True, slots=True)
class Handlers:
    """Translate requests to calls of the services, and their answers to documents.

    Args:
        servicers: that gRPC calls too.
    """

    servicers: Servicers

    async def live(self, request: HttpRequest, _body: object) -> Answer:
        """Whether the process runs."""
        request.query()
        found = await self.servicers.inference.ServerLive(messages.ServerLiveRequest(), context_of(request))
        return json_answer(document_of(found))

    async def ready(self, request: HttpRequest, _body: object) -> Answer:
        """Whether the server accepts calls."""
        request.query()
        found = await self.servicers.inference.ServerReady(messages.ServerReadyRequest(), context_of(request))
        return json_answer(document_of(found), 200 if found.ready else 503)

    async def server(self, request: HttpRequest, _body: object) -> Answer:
        """Name, version, extensions."""
        request.query()
        found = await self.servicers.inference.ServerMetadata(messages.ServerMetadataRequest(), context_of(request))
        return json_answer(document_of(found))

    async def model_ready(self, request: HttpRequest, _body: object) -> Answer:
        """Whether a model is ready; 404 if not, whatever the reason."""
        asked = messages.ModelReadyRequest(**_model_of(request))
        found = await self.servicers.inference.ModelReady(asked, context_of(request))
        return json_answer({"name": asked.name, "ready": found.ready}, 200 if found.ready else 404)

    async def metadata(self, request: HttpRequest, _body: object) -> Answer:
        """Inputs and outputs of a model."""
        asked = messages.ModelMetadataRequest(**_model_of(request))
        return json_answer(document_of(await self.servicers.inference.ModelMetadata(asked, context_of(request))))

    async def config(self, request: HttpRequest, _body: object) -> Answer:
        """Triton's configuration of a model."""
        asked = messages.ModelConfigRequest(**_model_of(request))
        found = await self.servicers.inference.ModelConfig(asked, context_of(request))
        return json_answer(document_of(found.config))

    async def statistics(self, request: HttpRequest, _body: object) -> Answer:
        """Statistics of a model, or of all."""
        asked = messages.ModelStatisticsRequest(**_model_of(request))
        return json_answer(document_of(await self.servicers.inference.ModelStatistics(asked, context_of(request))))

    async def index(self, request: HttpRequest, ready: object) -> Answer:
        """All models, as Triton lists them."""
        request.query()
        asked = messages.RepositoryIndexRequest(ready=bool(ready))
        found = await self.servicers.inference.RepositoryIndex(asked, context_of(request))
        return json_answer([document_of(model) for model in found.models])

    async def infer(self, request: HttpRequest, body: Decoded) -> Answer:
        """The answer of a model. Holds no reference to the request while it waits for a proof."""
        request.query()
        forms, answering = body.forms, self.servicers.inference.ModelInfer(body.request, context_of(request))
        del body
        headers, encoded = encoded_response(await answering, forms)
        return Answer(body=encoded, headers=headers)

    async def models(self, request: HttpRequest, _body: object) -> Answer:
        """A page of models."""
        asked = models_pb2.ListModelsRequest(**_page_of(request.query("page_size", "page_token")))
        return json_answer(document_of(await self.servicers.models.ListModels(asked, context_of(request))))

    async def model(self, request: HttpRequest, _body: object) -> Answer:
        """One version of a model, with cost and fidelity."""
        asked = _model_of(request)
        return json_answer(document_of(await self.servicers.models.model(asked["name"], asked["version"])))

    async def manifest(self, request: HttpRequest, _body: object) -> Answer:
        """The manifest of a circuit, byte for byte."""
        asked = _model_of(request)
        caller().require_model(asked["name"])
        circuit = self.servicers.models.repository.find(asked["name"], asked["version"]).circuit
        return Answer(body=circuit.manifest.to_bytes(), headers={"content-type": JSON, "etag": f'"{circuit.digest}"'})

    async def operations(self, request: HttpRequest, _body: object) -> Answer:
        """A page of the caller's operations."""
        query = request.query("filter", "page_size", "page_token")
        asked = operations_pb2.ListOperationsRequest(filter=query.pop("filter", ""), **_page_of(query))
        return json_answer(document_of(await self.servicers.operations.ListOperations(asked, context_of(request))))

    async def operation(self, request: HttpRequest, _body: object) -> Answer:
        """The state of an operation."""
        asked = operations_pb2.GetOperationRequest(name=_operation_of(request))
        return json_answer(document_of(await self.servicers.operations.GetOperation(asked, context_of(request))))

    async def wait(self, request: HttpRequest, _body: object) -> Answer:
        """The operation once it is done, or its state after the timeout."""
        asked = operations_pb2.WaitOperationRequest(name=name_of(request.path["id"]))
        if "timeout" in (query := request.query("timeout")):
            asked.timeout.CopyFrom(_duration(query["timeout"]))
        return json_answer(document_of(await self.servicers.operations.WaitOperation(asked, context_of(request))))

    async def cancel(self, request: HttpRequest, _body: object) -> Answer:
        """Cancel an operation."""
        asked = operations_pb2.CancelOperationRequest(name=_operation_of(request))
        await self.servicers.operations.CancelOperation(asked, context_of(request))
        return Answer(204)

    async def delete(self, request: HttpRequest, _body: object) -> Answer:
        """Delete a finished operation."""
        asked = operations_pb2.DeleteOperationRequest(name=_operation_of(request))
        await self.servicers.operations.DeleteOperation(asked, context_of(request))
        return Answer(204)

    async def create_proof(self, request: HttpRequest, asked: proofs_pb2.CreateProofRequest) -> Answer:
        """The answer of a model, and the operation that proves it."""
        request.query()
        return json_answer(document_of(await self.servicers.proofs.CreateProof(asked, context_of(request))))

    async def verify(self, request: HttpRequest, asked: proofs_pb2.VerifyAttestationRequest) -> Answer:
        """What an attestation proves; a rejection is a problem."""
        request.query()
        return json_answer(document_of(await self.servicers.proofs.VerifyAttestation(asked, context_of(request))))

    async def attestation(self, request: HttpRequest, _body: object) -> Answer:
        """The attestation of a finished operation, byte for byte."""
        asked = proofs_pb2.GetAttestationRequest(operation=_operation_of(request))
        chunks = aiter(self.servicers.proofs.GetAttestation(asked, context_of(request)))
        first = await anext(chunks)
        headers = {
            "content-type": JSON,
            "content-length": str(first.size),
            "content-disposition": 'attachment; filename="attestation.json"',
            "etag": f'"{first.digest}"',
            "repr-digest": f"sha-256=:{base64.b64encode(bytes.fromhex(Digest.parse(first.digest).hex)).decode()}:",
        }
        return Answer(body=_data(first, chunks), headers=headers)


def context_of(request: HttpRequest) -> Any:  # noqa: ANN401 - see below
    """The request, which stands for gRPC's context, of which it has what is used."""
    return request


def json_answer(document: object, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """A JSON document as an answer."""
    data = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    return Answer(status, data, {"content-type": JSON, **(headers or {})})


def inference_decoder(request: HttpRequest) -> InferenceDecoder:
    """The decoder of a request for an inference."""
    model = _model_of(request)
    return InferenceDecoder(request.headers.get(HEADER_LENGTH), model["name"], model["version"])


def _model_of(request: HttpRequest) -> dict[str, str]:
    """Name and version in the path; empty if the path has none."""
    request.query()
    return {"name": request.path.get("model", ""), "version": request.path.get("version", "")}


def _operation_of(request: HttpRequest) -> str:
    """The name of the operation in the path."""
    request.query()
    return name_of(request.path["id"])


def _page_of(query: dict[str, str]) -> dict[str, Any]:
    size = query.get("page_size", "0")
    with in_field("page_size"):
        if _COUNT.fullmatch(size) is None:
            raise DataError("It must be a whole number.")
    return {"page_size": int(size), "page_token": query.get("page_token", "")}


def _duration(text: str) -> Duration:
    with in_field("timeout"):
        if len(text) > 40 or _SECONDS.fullmatch(text) is None or float(text) >= 1e6:
            raise DataError("It must be a number of seconds below a million, such as 30 or 2.5.")
    found = Duration()
    found.FromMilliseconds(round(float(text) * 1000))
    return found


async def _data(first: Any, others: AsyncIterator[Any]) -> AsyncIterator[bytes]:  # noqa: ANN401 - responses
    yield first.data
    async for chunk in others:
        yield chunk.data
