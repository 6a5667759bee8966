"""The Open Inference Protocol v2 over gRPC, compatible with Triton's clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from zkinfer.oip.messages import SERVICE
from zkinfer.service.oip.servicer import InferenceServicer
from zkinfer.service.oip.streams import AttestationWaiter

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor
    from grpc import aio

__all__ = ["INFERENCE", "AttestationWaiter", "InferenceServicer", "register"]

INFERENCE = SERVICE.full_name


def register(servicer: InferenceServicer, server: aio.Server) -> None:
    """Register the protocol's service; calls that zkinfer does not implement are unknown methods."""
    handlers = {method.name: _handler(servicer, method) for method in SERVICE.methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(INFERENCE, handlers),))


def _handler(servicer: InferenceServicer, method: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
    make = grpc.stream_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
    return make(
        getattr(servicer, method.name),
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=GetMessageClass(method.output_type).SerializeToString,
    )
