"""Reflection: callers may ask which services and messages there are, as grpcurl does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection

from zkinfer.oip import messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.descriptor import FileDescriptor
    from google.protobuf.descriptor_pool import DescriptorPool
    from grpc import aio


def reflect(services: Sequence[str], server: aio.Server) -> None:
    """Let a server tell of these services, and of reflection itself.

    The Open Inference Protocol lives in a pool of its own and the rest in the common one; reflection takes one pool,
    so the files of both are put into a third.
    """
    names = (*services, reflection.SERVICE_NAME)
    pool = descriptor_pool.DescriptorPool()
    known: set[str] = set()
    for name in names:
        _add(_file_of(name), pool, known)
    reflection.enable_server_reflection(names, server, pool=pool)


def _file_of(service: str) -> FileDescriptor:
    own = messages.SERVICE
    if service == own.full_name:
        return own.file
    return descriptor_pool.Default().FindServiceByName(service).file


def _add(file: FileDescriptor, pool: DescriptorPool, known: set[str]) -> None:
    """A file behind all that it imports, each once."""
    if file.name in known:
        return
    known.add(file.name)
    for imported in file.dependencies:
        _add(imported, pool, known)
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    pool.Add(proto)
