"""JSON documents of protobuf messages, and their JSON Schema.

The form is that of proto3's JSON mapping with the names of the `.proto` files, except that 64-bit integers are numbers.
Document and schema follow from the same descriptors, so that they cannot differ.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass

from zkinfer.v1.values_pb2 import Proof, ProofMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from google.protobuf.any_pb2 import Any as AnyMessage
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

_TYPE = "@type"
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, (1 << 64) - 1),
}
_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)
# The types of messages that are packed into these fields.
_PACKED = {
    "google.longrunning.Operation.metadata": ProofMetadata.DESCRIPTOR,
    "google.longrunning.Operation.response": Proof.DESCRIPTOR,
}


def _unpacked(packed: AnyMessage) -> dict[str, Any]:
    name = packed.type_url.rpartition("/")[2]
    message = GetMessageClass(Default().FindMessageTypeByName(name))()
    packed.Unpack(message)
    return {_TYPE: packed.type_url, **document_of(message)}


_WRITERS: dict[str, Callable[[Any], Any]] = {
    "google.protobuf.Timestamp": lambda message: message.ToJsonString(),
    "google.protobuf.Duration": lambda message: message.ToJsonString(),
    "google.protobuf.Any": _unpacked,
}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?\d+(\.\d+)?s$"},
    "google.protobuf.Any": {"type": "object", "properties": {_TYPE: {"type": "string"}}, "required": [_TYPE]},
}


def document_of(message: Message) -> Any:  # noqa: ANN401 - JSON
    """The JSON form of a message: fields that can be absent only if they are set, all others always."""
    writer = _WRITERS.get(message.DESCRIPTOR.full_name)
    if writer is not None:
        return writer(message)
    fields: Sequence[Any] = message.DESCRIPTOR.fields
    return {
        field.name: _value(field, getattr(message, field.name))
        for field in fields
        if not field.has_presence or message.HasField(field.name)
    }


def _value(field: FieldDescriptor, value: Any) -> Any:  # noqa: ANN401 - JSON
    if (entry := _map_value(field)) is not None:
        return {str(key): _one(entry, value[key]) for key in sorted(value)}
    if field.is_repeated:
        return [_one(field, item) for item in value]
    return _one(field, value)


def _one(field: FieldDescriptor, value: Any) -> Any:  # noqa: ANN401 - JSON
    if field.message_type is not None:
        return document_of(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return base64.b64encode(value).decode() if field.type == FieldDescriptor.TYPE_BYTES else value


def _map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    """The field of the values of a map; None if the field is no map."""
    kind = field.message_type
    return kind.fields_by_name["value"] if kind is not None and kind.GetOptions().map_entry else None


def reference_to(kind: Descriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of a message type, as a reference into `schemas`, to which it is added with those that it needs."""
    if kind.full_name in _SCHEMAS:
        return dict(_SCHEMAS[kind.full_name])
    if kind.full_name not in schemas:
        schemas[kind.full_name] = {}  # so that a type that contains itself ends
        schemas[kind.full_name] = _schema_of(kind, schemas)
    return {"$ref": f"#/components/schemas/{kind.full_name}"}


def _schema_of(kind: Descriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {field.name: _field_schema(field, schemas) for field in kind.fields},
        "required": [field.name for field in kind.fields if not field.has_presence],
    }


def _field_schema(field: FieldDescriptor, schemas: dict[str, Any]) -> Mapping[str, Any]:
    if (entry := _map_value(field)) is not None:
        return {"type": "object", "additionalProperties": _one_schema(entry, schemas)}
    if field.is_repeated:
        return {"type": "array", "items": _one_schema(field, schemas)}
    if field.full_name in _PACKED:
        return {"allOf": [_SCHEMAS["google.protobuf.Any"], reference_to(_PACKED[field.full_name], schemas)]}
    return _one_schema(field, schemas)


def _one_schema(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None:
        return reference_to(field.message_type, schemas)
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    if field.cpp_type in _INTEGERS:
        lowest, highest = _INTEGERS[field.cpp_type]
        return {"type": "integer", "minimum": lowest, "maximum": highest}
    if field.cpp_type in _FLOATS:
        return {"type": "number"}
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return {"type": "boolean"}
    return {"type": "string"} | ({"contentEncoding": "base64"} if field.type == FieldDescriptor.TYPE_BYTES else {})
