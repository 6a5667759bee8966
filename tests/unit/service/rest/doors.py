"""The same calls over gRPC and over HTTP. An outcome is the name of the status code, and the reason of the error."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from google.longrunning import operations_proto_pb2 as operations_pb2
from google.longrunning.operations_pb2_grpc import OperationsStub
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from grpc import aio
from grpc_status import rpc_status
from tests.unit.circuits.factories import X

from zkinfer.client.values import messages_of
from zkinfer.oip import messages
from zkinfer.v1.models_pb2 import ListModelsRequest
from zkinfer.v1.models_pb2_grpc import ModelsStub
from zkinfer.v1.proofs_pb2 import CreateProofRequest, VerifyAttestationRequest
from zkinfer.v1.proofs_pb2_grpc import ProofsStub

if TYPE_CHECKING:
    from zkinfer.service.server import Running

OK = ("OK", "")


@dataclass(frozen=True)
class GrpcDoor:
    """Calls over gRPC."""

    channel: aio.Channel

    async def live(self, token=None) -> Any:
        return await self._oip("ServerLive", messages.ServerLiveRequest(), messages.ServerLiveResponse, token)

    async def models(self, token=None) -> Any:
        return await self._outcome(ModelsStub(self.channel).ListModels(ListModelsRequest(), metadata=_bearer(token)))

    async def infer(self, token=None, *, model="tiny", x=X, **parameters) -> Any:
        request = messages.ModelInferRequest(model_name=model)
        request.inputs.add(name="x", datatype="FP32", shape=x.shape)
        request.raw_input_contents.append(x.tobytes())
        for name, value in parameters.items():
            request.parameters[name].string_param = value
        return await self._oip("ModelInfer", request, messages.ModelInferResponse, token)

    async def create(self, token=None, *, model="tiny", x=X, **fields) -> Any:
        request = CreateProofRequest(model=model, inputs=messages_of({"x": x}), **fields)
        return await self._outcome(ProofsStub(self.channel).CreateProof(request, metadata=_bearer(token)))

    async def verify(self, attestation, policy, token=None) -> Any:
        request = VerifyAttestationRequest(attestation=attestation, policy=policy)
        return await self._outcome(ProofsStub(self.channel).VerifyAttestation(request, metadata=_bearer(token)))

    async def wait(self, name, seconds, token=None) -> Any:
        request = operations_pb2.WaitOperationRequest(name=name, timeout=Duration(seconds=seconds))
        return await self._outcome(OperationsStub(self.channel).WaitOperation(request, metadata=_bearer(token)))

    async def cancel(self, name, token=None) -> Any:
        request = operations_pb2.CancelOperationRequest(name=name)
        return await self._outcome(OperationsStub(self.channel).CancelOperation(request, metadata=_bearer(token)))

    async def _oip(self, name, request, answer, token) -> Any:
        path = f"/inference.GRPCInferenceService/{name}"
        call = self.channel.unary_unary(path, type(request).SerializeToString, answer.FromString)
        return await self._outcome(call(request, metadata=_bearer(token)))

    @staticmethod
    async def _outcome(call) -> tuple[str, str]:
        try:
            await call
        except aio.AioRpcError as err:
            info = ErrorInfo()
            found = rpc_status.from_call(err)
            for detail in found.details if found else ():
                detail.Unpack(info)
                if info.reason:
                    break
            return err.code().name, info.reason
        return OK


@dataclass(frozen=True)
class HttpDoor:
    """Calls over HTTP."""

    client: aiohttp.ClientSession

    async def live(self, token=None) -> Any:
        return await self._outcome("GET", "/v2/health/live", token)

    async def models(self, token=None) -> Any:
        return await self._outcome("GET", "/v1/models", token)

    async def infer(self, token=None, *, model="tiny", x=X, **parameters) -> Any:
        body = {"inputs": [_tensor(x)], "parameters": parameters}
        return await self._outcome("POST", f"/v2/models/{model}/infer", token, json=body)

    async def create(self, token=None, *, model="tiny", x=X, **fields) -> Any:
        body = {"model": model, "inputs": [_tensor(x)], **fields}
        return await self._outcome("POST", "/v1/proofs", token, json=body)

    async def verify(self, attestation, policy, token=None) -> Any:
        body = {"attestation": base64.b64encode(attestation).decode(), "policy": policy}
        return await self._outcome("POST", "/v1/attestations:verify", token, json=body)

    async def wait(self, name, seconds, token=None) -> Any:
        return await self._outcome("GET", f"/v1/{name}:wait?timeout={seconds}", token)

    async def cancel(self, name, token=None) -> Any:
        return await self._outcome("POST", f"/v1/{name}:cancel", token)

    async def _outcome(self, method, path, token, **options) -> tuple[str, str]:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        async with self.client.request(method, path, headers=headers, **options) as answer:
            if answer.status < 300:
                return OK
            problem = await answer.json(content_type="application/problem+json")
            assert problem["status"] == answer.status
            return problem["code"], problem["reason"]


def _tensor(x):
    return {"name": "x", "datatype": "FP32", "shape": list(x.shape), "data": x.tolist()}


def _bearer(token):
    return None if token is None else (("authorization", f"Bearer {token}"),)


@asynccontextmanager
async def both(server: Running):
    """The two doors of a server, by name."""
    channel = aio.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)])
    async with channel, aiohttp.ClientSession(f"http://{server.rest_address}") as client:
        yield {"grpc": GrpcDoor(channel), "http": HttpDoor(client)}


__all__ = ["OK", "GrpcDoor", "HttpDoor", "both"]
