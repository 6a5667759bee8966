"""The OpenAPI 3.1 document of the HTTP interface, made from the table of routes and the types of its answers."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from zkinfer.service.auth import OPEN_METHODS
from zkinfer.service.documents import reference_to
from zkinfer.service.rest.handlers import JSON
from zkinfer.service.rest.inference import HEADER_LENGTH, InferRequest, InferResponse
from zkinfer.service.rest.problems import CONTENT_TYPE
from zkinfer.service.rest.proofs import CreateProof, VerifyAttestation
from zkinfer.service.rest.route import C2PA, FILE
from zkinfer.service.rest.works import Binding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.service.rest.route import Route

_BINARY = "application/octet-stream"
_BODIES = (InferRequest, CreateProof, VerifyAttestation, Binding)
_VARIABLE = re.compile(r"{(\w+)}")
_SCHEMAS: dict[str, Any] = {
    "Problem": {
        "type": "object",
        "description": "A problem document, RFC 9457. `error` repeats `detail`.",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "error": {"type": "string"},
            "code": {"type": "string", "description": "The status code of gRPC."},
            "reason": {"type": "string", "description": "The stable name of the error."},
            "field": {"type": "string"},
            "step": {"type": "integer", "description": "Of the verification that rejected an attestation."},
            "retry_after": {"type": "number", "description": "Seconds."},
            "request_id": {"type": "string"},
        },
        "required": ["type", "title", "status", "detail", "error", "code", "reason"],
        "additionalProperties": False,
    },
    "ModelReadyState": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "ready": {"type": "boolean"}},
        "required": ["name", "ready"],
        "additionalProperties": False,
    },
    "Document": {"type": "object", "description": "OpenAPI 3.1."},
    "TokenMetadata": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "description": {"type": "string"},
            "external_url": {"type": "string", "description": "Where the creator says that the file is."},
            "attributes": {"type": "array", "items": {"type": "object"}},
            "aigc_type": {"type": "string"},
            "proof_type": {"const": "validity", "description": "Only while the proof may be relied on."},
            "dataMiningPreference": {"type": "object", "description": "ERC-7517."},
        },
        "required": ["name", "description", "attributes"],
        "additionalProperties": False,
    },
    "SoftBindingMatches": {
        "type": "object",
        "properties": {
            "matches": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "manifestId": {"type": "string"},
                        "similarityScore": {"type": "integer", "minimum": 0, "maximum": 100},
                    },
                    "required": ["manifestId", "similarityScore"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["matches"],
        "additionalProperties": False,
    },
    "SoftBindingAlgorithms": {
        "type": "object",
        "properties": {
            name: {"type": "array", "items": {"type": "object", "properties": {"alg": {"type": "string"}}}}
            for name in ("watermarks", "fingerprints")
        },
        "required": ["watermarks", "fingerprints"],
        "additionalProperties": False,
    },
    "Manifest": {"type": "object", "description": "See docs/reference/circuit-folder.md."},
    "Attestation": {"type": "object", "description": "See docs/reference/attestation.md."},
    "RepositoryIndexRequest": {
        "type": "object",
        "properties": {"ready": {"type": "boolean", "description": "Only models that are ready."}},
        "additionalProperties": False,
    },
}


def openapi(routes: Sequence[Route]) -> dict[str, Any]:
    """The document, with the schemas of all types that the routes name."""
    _, own = models_json_schema(
        [*((kind, "validation") for kind in _BODIES), (InferResponse, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, Any] = {**_SCHEMAS, **own["$defs"]}
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.verb.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "zkinfer", "version": version("zkinfer"), "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "security": [{"bearer": []}, {}],
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    words = [word for word in re.split(r"\W+", route.path) if word]
    operation: dict[str, Any] = {
        "operationId": "_".join((route.verb.lower(), *words)),
        "summary": route.about,
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": {
            **{str(status): _response(kind, schemas, route) for status, kind in route.answers.items()},
            "4XX": _problem("The request is refused."),
            "5XX": _problem("The server cannot serve the request."),
        },
    }
    if route.call in OPEN_METHODS:
        operation["security"] = []
    if route.decoder is not None:
        operation |= _body(route)
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _VARIABLE.findall(route.path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "description": about, "schema": {"type": kind} | _BOUNDS.get(kind, {})}
        for name, (about, kind) in route.query.items()
    ]


_BOUNDS = {"integer": {"minimum": 0, "maximum": 999_999}, "number": {"minimum": 0, "maximum": 999_999}}


def _body(route: Route) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{route.body}"}
    if route.body == FILE:
        return {"requestBody": {"required": True, "description": "The file.", "content": {FILE: {}}}}
    if route.body != "InferRequest":
        optional = route.body == "RepositoryIndexRequest"
        return {"requestBody": {"required": not optional, "content": {JSON: {"schema": schema}}}}
    about = "JSON, or JSON followed by the bytes of tensors, of which the header tells the length of the JSON."
    return {"requestBody": {"required": True, "description": about, "content": {JSON: {"schema": schema}, _BINARY: {}}}}


def _response(kind: Any, schemas: dict[str, Any], route: Route) -> dict[str, Any]:  # noqa: ANN401 - see Route.answers
    if kind is None:
        return {"description": "Done."}
    if kind == C2PA:
        return {"description": route.about, "content": {C2PA: {}}}
    response: dict[str, Any] = {"description": route.about, "content": {JSON: {"schema": _schema(kind, schemas)}}}
    if kind == "InferResponse":
        response["content"][_BINARY] = {}
        response["headers"] = {HEADER_LENGTH: {"description": "Length of the JSON.", "schema": {"type": "integer"}}}
    return response


def _schema(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    if isinstance(kind, str):
        return {"$ref": f"#/components/schemas/{kind}"}
    if isinstance(kind, list):
        return {"type": "array", "items": _schema(kind[0], schemas)}
    return reference_to(kind.DESCRIPTOR, schemas)


def _problem(about: str) -> dict[str, Any]:
    return {"description": about, "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
