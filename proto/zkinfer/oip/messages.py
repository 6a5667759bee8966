"""The messages of inference.proto as attributes; messages.pyi, which types them, is generated.

They are in a private descriptor pool: tritonclient and others register the same names in the default one, and a process
that registers them twice fails.
"""

from importlib.resources import files
from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClassesForFiles

POOL = DescriptorPool()
POOL.AddSerializedFile((files(__package__) / "inference.binpb").read_bytes())
_FILE = "zkinfer/oip/inference.proto"
_PREFIX = "inference."

DESCRIPTOR = POOL.FindFileByName(_FILE)
SERVICE = DESCRIPTOR.services_by_name["GRPCInferenceService"]
_CLASSES = {name.removeprefix(_PREFIX): kind for name, kind in GetMessageClassesForFiles([_FILE], POOL).items()}
_ENUMS = {
    name: value.number for kind in DESCRIPTOR.enum_types_by_name.values() for name, value in kind.values_by_name.items()
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class or a number
    if name in _CLASSES:
        return _CLASSES[name]
    if name in _ENUMS:
        return _ENUMS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
