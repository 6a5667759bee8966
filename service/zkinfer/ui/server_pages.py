"""Pages of a running server: its models, the proofs of the token's owner, and the check of their attestations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response

from zkinfer.ui.charts import cost_rows, error_scale
from zkinfer.ui.dependencies import dependencies
from zkinfer.ui.forms import File, read_form
from zkinfer.ui.render import page
from zkinfer.ui.verify_pages import form_values, start_verification

if TYPE_CHECKING:
    from starlette.requests import Request

    from zkinfer.ui.browser import ServerBrowser
    from zkinfer.ui.server_values import Proof, ServedModel


async def overview(request: Request) -> Response:
    """Models and proofs, or how to name a server."""
    browser = dependencies(request).browser
    if browser is None:
        return page(request, "no_server.html", section="/server")
    models, proofs = await browser.models(), await browser.proofs()
    values: dict[str, Any] = {"models": models, "proofs": proofs, "url": browser.url}
    return page(request, "server.html", section="/server", model_path=model_path, proof_path=proof_path, **values)


async def model(request: Request) -> Response:
    """One version of a model: fidelity, cost, identity."""
    browser, path = _browser(request), request.path_params
    found, models = await browser.model(path["name"], path["version"]), await browser.models()
    values: dict[str, Any] = {
        "shares": _shares(found),
        "scale": error_scale(found.fidelity) if found.fidelity is not None else None,
        "costs": cost_rows(found, models),
        "facts": _facts(found),
    }
    return page(request, "model.html", section="/server", model=found, **values)


async def proof(request: Request) -> Response:
    """One proof, and the form that checks its attestation."""
    found = await _browser(request).proof(request.path_params["proof"])
    return page(request, "proof.html", section="/server", proof=found, proof_path=proof_path, **form_values(request))


async def attestation(request: Request) -> Response:
    """The attestation as the server gives it, which nobody has verified."""
    name = request.path_params["proof"]
    headers = {"content-disposition": 'attachment; filename="unverified-attestation.json"'}
    return Response(await _browser(request).attestation(name), headers=headers, media_type="application/json")


async def verify(request: Request) -> Response:
    """Queue the verification of a proof's attestation with the auditor's own model."""
    form, name = await read_form(request), request.path_params["proof"]
    data = await _browser(request).attestation(name)
    return start_verification(request, form, File(f"{name[:12]}.json", data))


def model_path(found: ServedModel) -> str:
    """The path of a model's page."""
    return f"/server/models/{quote(found.name, safe='')}/{quote(found.version, safe='')}"


def proof_path(found: Proof) -> str:
    """The path of a proof's page."""
    return f"/server/proofs/{quote(found.operation.rpartition('/')[2], safe='')}"


def _browser(request: Request) -> ServerBrowser:
    browser = dependencies(request).browser
    if browser is None:
        raise HTTPException(404, "page")
    return browser


def _shares(found: ServedModel) -> list[tuple[str, float]]:
    fidelity = found.fidelity
    if fidelity is None:
        return []
    shares = {
        "model.agreement": fidelity.agreement,
        "model.circuit_accuracy": fidelity.circuit_accuracy,
        "model.model_accuracy": fidelity.model_accuracy,
    }
    return [(key, share) for key, share in shares.items() if share is not None]


def _facts(found: ServedModel) -> list[tuple[str, str]]:
    return [
        ("model.id", found.model_id),
        ("model.digest", found.model_digest),
        ("server.engine", found.engine),
        ("server.setup", found.setup),
        ("model.inputs", ", ".join(map(str, found.inputs))),
        ("model.outputs", ", ".join(map(str, found.outputs))),
    ]
