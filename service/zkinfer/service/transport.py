"""The gRPC server: its options, certificates, listening address and reflection, and the check of encoded messages."""

from __future__ import annotations

import ssl
from functools import cache
from typing import TYPE_CHECKING

import grpc
import numpy as np
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc import aio
from grpc_reflection.v1alpha import reflection

from zkinfer.circuits.errors import DataError, InputError, why
from zkinfer.circuits.storage import read_file, read_private_file
from zkinfer.circuits.tensors import MAX_ELEMENTS
from zkinfer.oip import messages
from zkinfer.service.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from google.protobuf.descriptor import Descriptor, FileDescriptor
    from google.protobuf.descriptor_pool import DescriptorPool

    from zkinfer.service.settings import Settings, Tls


def enable_reflection(services: Sequence[str], server: aio.Server) -> None:
    """Enable server reflection for these services and for reflection itself.

    The Open Inference Protocol has its own descriptor pool; reflection takes one pool, so the files of both pools are
    copied into a third.
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
    """Add a file after its imports, each once."""
    if file.name in known:
        return
    known.add(file.name)
    for imported in file.dependencies:
        _add(imported, pool, known)
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    pool.Add(proto)


_HEADER_BYTES = 16 << 10
_MAX_PEM_BYTES = 1 << 20
MAX_BEING_REJECTED = 1000  # calls at a time that get an error with a status


def make_server(settings: Settings, interceptor: aio.ServerInterceptor) -> aio.Server:
    """A server that does not listen yet."""
    return aio.server(
        interceptors=[interceptor],
        options=_options(settings),
        # gRPC rejects without RetryInfo, and health checks too; `limit_concurrency` rejects long before.
        maximum_concurrent_rpcs=MAX_BEING_REJECTED + 4 * settings.limits.concurrent_calls,
    )


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.limits.message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.http2.bdp_probe", 0),  # or a call would buffer megabytes before its request is read, not 64 KiB
        ("grpc.max_metadata_size", _HEADER_BYTES),
        ("grpc.max_concurrent_streams", settings.limits.concurrent_calls),
        ("grpc.so_reuseport", 0),  # or a second server on the same port would silently get half of the calls
        ("grpc.keepalive_time_ms", 60_000),  # detects vanished callers within 80 seconds
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 3),
    ]


def listen(server: aio.Server, settings: Settings) -> str:
    """Bind the server's address and return it with the bound port; raises SettingsError."""
    address, tls = settings.address, settings.tls
    try:
        port = (
            server.add_secure_port(address.text, _credentials(tls))
            if tls.certificate
            else server.add_insecure_port(address.text)
        )
    except RuntimeError as err:
        raise SettingsError(
            f"The server cannot listen at {address.text}.", "The address is in use, or not one of this machine."
        ) from err
    return address.with_port(port)


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    """Credentials that are reloaded when the files change, so certificates can be renewed without a restart."""
    source = CertificateFiles(tls)
    return grpc.dynamic_ssl_server_credentials(
        source.read(),
        source.fetch,  # type: ignore[arg-type] # None means no change, see grpc's documentation
        require_client_authentication=tls.client_ca is not None,
    )


class CertificateFiles:
    """The files of `Tls`. A reader that finds them unreadable keeps what it has read before."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._paths = [path for path in (tls.key, tls.certificate, tls.client_ca) if path]
        self._read_mtimes: tuple[int, ...] = ()

    def changed(self) -> bool:
        """Whether they have changed since they were read; raises SettingsError."""
        return self._mtimes() != self._read_mtimes

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Read the current files; raises SettingsError."""
        mtimes = self._mtimes()
        key, certificate, *authority = [_read(path, private=path == self._tls.key) for path in self._paths]
        _context(self._tls)  # checks them before gRPC does, which would not name the cause
        self._read_mtimes = mtimes
        return grpc.ssl_server_certificate_configuration([(key, certificate)], *authority)

    def context(self) -> ssl.SSLContext:
        """The current files as a context of Python's; raises SettingsError."""
        mtimes = self._mtimes()
        if self._tls.key is not None:
            _read(self._tls.key, private=True)
        context = _context(self._tls)
        self._read_mtimes = mtimes
        return context

    def fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """Called by gRPC at every handshake; None for no change."""
        try:
            return self.read() if self.changed() else None
        except SettingsError:
            return None

    def _mtimes(self) -> tuple[int, ...]:
        try:
            return tuple(path.stat().st_mtime_ns for path in self._paths)
        except OSError as err:
            raise SettingsError(f"{err.filename} cannot be read: {why(err)}.") from err


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(str(tls.certificate), str(tls.key), password=lambda: "")
    except (ssl.SSLError, ValueError) as err:
        raise SettingsError(
            f"{tls.certificate} and {tls.key} are not a certificate and its private key.",
            "Both must be PEM, and the key unencrypted.",
        ) from err
    if tls.client_ca is None:
        return context
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(str(tls.client_ca))
    except ssl.SSLError as err:
        raise SettingsError(f"{tls.client_ca} holds no CA certificate.", "It must be PEM.") from err
    return context


def _read(path: Path, *, private: bool) -> bytes:
    try:
        return (read_private_file if private else read_file)(path, max_bytes=_MAX_PEM_BYTES)
    except InputError as err:
        raise SettingsError(err.cause, err.cure) from err


UNREADABLE = "The request is not a message of the type that this method takes."
_MAX_FIELDS = 10_000
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5  # wire types
_WIDTHS = {
    FieldDescriptor.TYPE_DOUBLE: 8,
    FieldDescriptor.TYPE_FIXED64: 8,
    FieldDescriptor.TYPE_SFIXED64: 8,
    FieldDescriptor.TYPE_FLOAT: 4,
    FieldDescriptor.TYPE_FIXED32: 4,
    FieldDescriptor.TYPE_SFIXED32: 4,
}
_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def count_numbers(data: bytes, kind: Descriptor) -> int:
    """The number of numbers in the packed fields of an encoded message, at any depth, without decoding it.

    Args:
        data: the encoded message.
        kind: its type.

    Raises:
        DataError: it is malformed, or has too many fields or numbers, which take many times their size in memory.
    """
    numbers = fields = 0
    parts = [(0, len(data), kind)]
    while parts:
        place, end, kind = parts.pop()
        known = _fields(kind)
        while place < end:
            fields += 1
            key, place = _varint(data, place, end)
            size, place = _size(data, place, end, key & 7)
            if place + size > end:
                raise DataError(UNREADABLE)
            if key & 7 == _DELIMITED and (field := known.get(key >> 3)) is not None:
                if isinstance(field, int):
                    numbers += size // field if field else int((np.frombuffer(data, "u1", size, place) < 128).sum())
                else:
                    parts.append((place, place + size, field))
            place += size
            if fields > _MAX_FIELDS:
                raise _too_many("fields", _MAX_FIELDS)
        if numbers > MAX_ELEMENTS:
            raise _too_many("numbers", MAX_ELEMENTS)
    return numbers


def _too_many(what: str, limit: int) -> DataError:
    return DataError(f"The request has more than {limit:,} {what}.", "Send tensors in raw_input_contents, or packed.")


@cache
def _fields(kind: Descriptor) -> dict[int, Descriptor | int]:
    """What the fields of a type hold, by number, except for texts.

    That is the type of nested messages, or the width of packed numbers, 0 if it varies.
    """
    return {
        field.number: field.message_type or _WIDTHS.get(field.type, 0)
        for field in kind.fields
        if field.type not in _TEXTS
    }


def _size(data: bytes, place: int, end: int, wire_type: int) -> tuple[int, int]:
    """The size of the content of a field, and the place where it begins."""
    if wire_type == _DELIMITED:
        return _varint(data, place, end)
    if wire_type == _VARINT:
        return 0, _varint(data, place, end)[1]
    if wire_type in (_FIXED32, _FIXED64):
        return 4 if wire_type == _FIXED32 else 8, place
    raise DataError(UNREADABLE)


def _varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    """A number of variable width, and the place after it."""
    value = shift = 0
    while place < end and shift < 70:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    raise DataError(UNREADABLE)
