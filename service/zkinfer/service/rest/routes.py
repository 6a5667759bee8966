"""The paths of the HTTP interface. The table is also the source of the OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.longrunning import operations_proto_pb2 as operations_pb2

from zkinfer.oip import messages
from zkinfer.service.oip import INFERENCE
from zkinfer.service.rest.handlers import Handlers, IndexDecoder, inference_decoder
from zkinfer.service.rest.proofs import CreateProof, MessageDecoder, VerifyAttestation
from zkinfer.service.rest.route import Route
from zkinfer.service.rest.work_routes import work_routes
from zkinfer.v1 import models_pb2, proofs_pb2

if TYPE_CHECKING:
    from zkinfer.service.rest.route import Handler
    from zkinfer.service.servicers import Servicers


def routes(servicers: Servicers) -> list[Route]:
    """All routes, except for that of the OpenAPI document itself."""
    handlers = Handlers(servicers)
    found = [*_protocol(handlers), *_models(handlers), *_proofs(handlers), *_operations(handlers)]
    return [*found, *work_routes(servicers)]


def _protocol(handlers: Handlers) -> list[Route]:
    """The Open Inference Protocol v2, with the extensions of Triton that the gRPC interface has too."""

    def get(path: str, name: str, serve: Handler, about: str, answers: dict[int, Any]) -> Route:
        return Route(path=path, verb="GET", call=f"/{INFERENCE}/{name}", serve=serve, about=about, answers=answers)

    live, ready, server = messages.ServerLiveResponse, messages.ServerReadyResponse, messages.ServerMetadataResponse
    model, config, statistics = messages.ModelMetadataResponse, messages.ModelConfig, messages.ModelStatisticsResponse
    state = "ModelReadyState"
    found = [
        get("/v2", "ServerMetadata", handlers.server, "Name, version, extensions.", {200: server}),
        get("/v2/health/live", "ServerLive", handlers.live, "Whether the process runs.", {200: live}),
        get("/v2/health/ready", "ServerReady", handlers.ready, "Whether it accepts calls.", {200: ready, 503: ready}),
        get("/v2/models/stats", "ModelStatistics", handlers.statistics, "Statistics of all.", {200: statistics}),
        Route(
            path="/v2/repository/index",
            verb="POST",
            call=f"/{INFERENCE}/RepositoryIndex",
            serve=handlers.index,
            decoder=lambda _request: IndexDecoder(),
            body="RepositoryIndexRequest",
            about="All models that the caller may use.",
            answers={200: [messages.RepositoryIndexResponse.ModelIndex]},
        ),
    ]
    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        found += [
            get(path, "ModelMetadata", handlers.metadata, "Inputs and outputs.", {200: model}),
            get(f"{path}/ready", "ModelReady", handlers.model_ready, "Whether it is ready.", {200: state, 404: state}),
            get(f"{path}/config", "ModelConfig", handlers.config, "Triton's configuration.", {200: config}),
            get(f"{path}/stats", "ModelStatistics", handlers.statistics, "Statistics.", {200: statistics}),
            Route(
                path=f"{path}/infer",
                verb="POST",
                call=f"/{INFERENCE}/ModelInfer",
                serve=handlers.infer,
                decoder=inference_decoder,
                body="InferRequest",
                about="An answer, with its proof or a reference to it.",
                answers={200: "InferResponse"},
            ),
        ]
    return found


_PAGE = {
    "page_size": ("Most entries of the page; 0 for the server's default.", "integer"),
    "page_token": ("next_page_token of the page before.", "string"),
}


def _models(handlers: Handlers) -> list[Route]:
    one = "/v1/models/{model}/versions/{version}"
    return [
        Route(
            path="/v1/models",
            verb="GET",
            call="/zkinfer.v1.Models/ListModels",
            serve=handlers.models,
            about="The models that the caller may use, with cost and fidelity.",
            query=_PAGE,
            answers={200: models_pb2.ListModelsResponse},
        ),
        Route(
            path=one,
            verb="GET",
            call="/http/GetModel",
            serve=handlers.model,
            about="One version of a model, with cost and fidelity.",
            answers={200: models_pb2.Model},
        ),
        Route(
            path=f"{one}/manifest",
            verb="GET",
            call="/http/GetManifest",
            serve=handlers.manifest,
            about="The manifest of the circuit, byte for byte.",
            answers={200: "Manifest"},
        ),
    ]


def _proofs(handlers: Handlers) -> list[Route]:
    service = "/zkinfer.v1.Proofs"
    return [
        Route(
            path="/v1/proofs",
            verb="POST",
            call=f"{service}/CreateProof",
            serve=handlers.create_proof,
            decoder=lambda _request: MessageDecoder(CreateProof),
            body="CreateProof",
            about="An answer, and the operation that proves it.",
            answers={200: proofs_pb2.CreateProofResponse},
        ),
        Route(
            path="/v1/attestations:verify",
            verb="POST",
            call=f"{service}/VerifyAttestation",
            serve=handlers.verify,
            decoder=lambda _request: MessageDecoder(VerifyAttestation),
            body="VerifyAttestation",
            about="Verify an attestation against the server's models, for callers who trust the server.",
            answers={200: proofs_pb2.VerifyAttestationResponse},
        ),
    ]


def _operations(handlers: Handlers) -> list[Route]:
    service, one = "/google.longrunning.Operations", "/v1/operations/proofs/{id}"
    operation = operations_pb2.Operation
    return [
        Route(
            path="/v1/operations",
            verb="GET",
            call=f"{service}/ListOperations",
            serve=handlers.operations,
            about="The caller's operations, newest first.",
            query={"filter": ('Such as `state = QUEUED AND model = "digits"`.', "string"), **_PAGE},
            answers={200: operations_pb2.ListOperationsResponse},
        ),
        Route(
            path=f"{one}:wait",
            verb="GET",
            call=f"{service}/WaitOperation",
            serve=handlers.wait,
            about="The operation once it is done, or its state after the timeout.",
            query={"timeout": ("Seconds; at most limits.wait_seconds, which is the default.", "number")},
            answers={200: operation},
        ),
        Route(
            path=f"{one}:cancel",
            verb="POST",
            call=f"{service}/CancelOperation",
            serve=handlers.cancel,
            about="Cancel a proof: at once if it is queued, soon if it is running, without effect if it is done.",
            answers={204: None},
        ),
        Route(
            path=f"{one}/attestation",
            verb="GET",
            call="/zkinfer.v1.Proofs/GetAttestation",
            serve=handlers.attestation,
            about="The attestation of a finished proof, byte for byte.",
            answers={200: "Attestation"},
        ),
        Route(
            path=one,
            verb="GET",
            call=f"{service}/GetOperation",
            serve=handlers.operation,
            about="The state of an operation.",
            answers={200: operation},
        ),
        Route(
            path=one,
            verb="DELETE",
            call=f"{service}/DeleteOperation",
            serve=handlers.delete,
            about="Delete a finished operation and its attestation.",
            answers={204: None},
        ),
    ]
