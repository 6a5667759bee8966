"""The paths of works: zkinfer's own, and those of C2PA's Soft Binding Resolution API 1.0, which are fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.service.rest.route import C2PA, FILE, Route
from zkinfer.service.rest.works import BindingDecoder, FileDecoder, WorkHandlers
from zkinfer.v1 import works_pb2

if TYPE_CHECKING:
    from zkinfer.service.servicers import Servicers

_SERVICE = "/zkinfer.v1.Works"
_OPTIONS = {
    "distance": ("Most bits in which fingerprints may differ. Default: the limit of the length.", "integer"),
    "max_results": ("Most matches; 0 for the server's default.", "integer"),
    "subject": ("Who wants to use the first match: dns:acme.example, or an account.", "string"),
    "uses": ("For what, with commas: commercial, derivatives, training, inference.", "string"),
}
_ALGORITHM = ("The algorithm: io.iscc.v0.", "string")
_MOST = ("Most matches. Default: 10.", "integer")


def work_routes(servicers: Servicers) -> list[Route]:
    """All routes about works; a server without a directory answers each with 404."""
    handlers = WorkHandlers(servicers)
    return [*_works(handlers), *_soft_bindings(handlers)]


def _works(handlers: WorkHandlers) -> list[Route]:
    one = "/v1/works/{work}"
    return [
        Route(
            path="/v1/works",
            verb="GET",
            call=f"{_SERVICE}/LookupWork",
            serve=handlers.find,
            about="The works that a SHA-256 or an ISCC finds, best first.",
            query={
                "sha256": ("Of the file, as hex.", "string"),
                "iscc": ("An Image-Code of 64 or 256 bits.", "string"),
                **_OPTIONS,
            },
            answers={200: works_pb2.LookupWorkResponse},
        ),
        Route(
            path="/v1/works:lookup",
            verb="POST",
            call=f"{_SERVICE}/LookupWork",
            serve=handlers.lookup,
            decoder=lambda _request: FileDecoder(),
            body=FILE,
            about="The works that a file finds, best first. The file is decoded with limits, and not kept.",
            query=_OPTIONS,
            answers={200: works_pb2.LookupWorkResponse},
        ),
        Route(
            path=f"{one}/authorisation",
            verb="GET",
            call=f"{_SERVICE}/CheckAuthorisation",
            serve=handlers.authorisation,
            about="Whether somebody may use a work now, and under which licence.",
            query={name: _OPTIONS[name] for name in ("subject", "uses")},
            answers={200: works_pb2.Authorisation},
        ),
        Route(
            path=f"{one}/metadata",
            verb="GET",
            call="/http/GetWorkMetadata",
            serve=handlers.metadata,
            about="The metadata of a work's token (ERC-721, ERC-7007, ERC-7517). The id may be decimal.",
            answers={200: "TokenMetadata"},
        ),
        Route(
            path=one,
            verb="GET",
            call=f"{_SERVICE}/GetWork",
            serve=handlers.work,
            about="A work. The id may be decimal.",
            answers={200: works_pb2.Work},
        ),
    ]


def _soft_bindings(handlers: WorkHandlers) -> list[Route]:
    return [
        Route(
            path="/matches/byBinding",
            verb="GET",
            call="/http/MatchesByBinding",
            serve=handlers.by_binding,
            about="C2PA manifests of works with a similar fingerprint.",
            query={"alg": _ALGORITHM, "value": ("The ISCC in base64.", "string"), "maxResults": _MOST},
            answers={200: "SoftBindingMatches"},
        ),
        Route(
            path="/matches/byBinding",
            verb="POST",
            call="/http/MatchesByBinding",
            serve=handlers.by_binding,
            decoder=lambda _request: BindingDecoder(),
            body="Binding",
            about="C2PA manifests of works with a similar fingerprint.",
            query={"maxResults": _MOST},
            answers={200: "SoftBindingMatches"},
        ),
        Route(
            path="/matches/byContent",
            verb="POST",
            call="/http/MatchesByContent",
            serve=handlers.by_content,
            decoder=lambda _request: FileDecoder(),
            body=FILE,
            about="C2PA manifests of the works that a picture finds.",
            query={
                "alg": _ALGORITHM,
                "hintAlg": _ALGORITHM,
                "hintValue": ("Ignored: the picture is decoded.", "string"),
                "maxResults": _MOST,
            },
            answers={200: "SoftBindingMatches"},
        ),
        Route(
            path="/manifests/{id}",
            verb="GET",
            call="/http/GetManifestStore",
            serve=handlers.manifest,
            about="A C2PA manifest store, as it was registered.",
            query={"returnActiveManifest": ("Whether to leave out all manifests but the active one.", "boolean")},
            answers={200: C2PA},
        ),
        Route(
            path="/services/supportedAlgorithms",
            verb="GET",
            call="/http/SupportedAlgorithms",
            serve=handlers.algorithms,
            about="The algorithms of soft bindings that are known.",
            answers={200: "SoftBindingAlgorithms"},
        ),
    ]
