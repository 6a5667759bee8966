"""Generate the Python stubs of proto/zkinfer/v1, and the descriptors and types of proto/zkinfer/oip.

python proto/generate.py           write the files
python proto/generate.py --check   exit 1 if one is out of date

The stubs are committed: those of grpcio-tools 1.81 load under protobuf 6 and 7, those of later versions do not.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import code_pb2
from grpc_tools import protoc

PROTO = Path(__file__).parent
PACKAGE = Path("zkinfer", "v1")
OPEN_INFERENCE = Path("zkinfer", "oip", "inference.proto")
# Names that zkinfer.oip.messages defines in addition to the messages.
EXTRA_NAMES = b"""
from google.protobuf.descriptor_pool import DescriptorPool as _DescriptorPool

POOL: _DescriptorPool
SERVICE: _descriptor.ServiceDescriptor
"""
TOOLS = "1.81."
# googleapis-common-protos renames this Python module; the descriptor pool has the original file name.
OPERATIONS = Path("google", "longrunning")
UNTYPED_IMPORT, TYPED_IMPORT = (
    b"from google.longrunning import operations_pb2",
    b"from google.longrunning import operations_proto_pb2",
)


def main() -> None:
    if not version("grpcio-tools").startswith(TOOLS):
        sys.exit(f"grpcio-tools is {version('grpcio-tools')}; the stubs need {TOOLS}x.")
    with TemporaryDirectory() as folder:
        generated = v1_stubs(Path(folder)) | oip_files(Path(folder))
    stale = [name for name, text in generated.items() if _read(name) != text]
    obsolete = sorted({f"{PACKAGE}/{path.name}" for path in (PROTO / PACKAGE).glob("*_pb2*")} - set(generated))
    if "--check" in sys.argv[1:]:
        if stale or obsolete:
            sys.exit(f"out of date: {', '.join(stale + obsolete)}; run python proto/generate.py")
        return
    for name in stale:
        (PROTO / name).write_bytes(generated[name])
        print(f"wrote proto/{name}")
    for name in obsolete:
        (PROTO / name).unlink()


def v1_stubs(folder: Path) -> dict[str, bytes]:
    """The stubs of zkinfer.v1 by path, generated in an empty folder."""
    common, renamed, out = Path(code_pb2.__file__).parents[2], folder / "renamed", folder / "out"
    (renamed / OPERATIONS).mkdir(parents=True)
    out.mkdir()
    declared = (common / OPERATIONS / "operations_proto.proto").read_bytes()
    (renamed / OPERATIONS / "operations.proto").write_bytes(declared)
    _compile([PROTO, renamed, common], out)
    stubs = sorted((out / PACKAGE).iterdir())
    return {f"{PACKAGE}/{path.name}": path.read_bytes().replace(UNTYPED_IMPORT, TYPED_IMPORT) for path in stubs}


def oip_files(folder: Path) -> dict[str, bytes]:
    """The descriptor of the Open Inference Protocol's one file, and the types of its messages, by path."""
    descriptors = folder / "inference.binpb"
    outputs = [f"--descriptor_set_out={descriptors}", f"--plugin=protoc-gen-mypy={_plugin('mypy')}"]
    outputs += [f"--mypy_out=quiet:{folder}"]
    if protoc.main(["protoc", f"-I{PROTO}", *outputs, str(OPEN_INFERENCE)]):
        sys.exit("protoc failed")
    (declared,) = FileDescriptorSet.FromString(descriptors.read_bytes()).file
    types = (folder / OPEN_INFERENCE).with_name("inference_pb2.pyi").read_bytes()
    package = OPEN_INFERENCE.parent
    return {
        f"{package}/inference.binpb": declared.SerializeToString(deterministic=True),
        f"{package}/messages.pyi": types + EXTRA_NAMES,
    }


def _compile(sources: list[Path], out: Path) -> None:
    names = [f"{PACKAGE}/{path.name}" for path in sorted((PROTO / PACKAGE).glob("*.proto"))]
    includes = [f"-I{folder}" for folder in (*sources, files("grpc_tools") / "_proto")]
    plugins = [f"--plugin=protoc-gen-{name}={_plugin(name)}" for name in ("mypy", "mypy_grpc")]
    outputs = [f"--{name}_out={out}" for name in ("python", "grpc_python")]
    outputs += [f"--{name}_out=quiet:{out}" for name in ("mypy", "mypy_grpc")]
    failed = protoc.main(["protoc", *includes, *plugins, *outputs, *names])
    if failed:
        sys.exit("protoc failed")


def _plugin(name: str) -> Path:
    return Path(sys.executable).parent / f"protoc-gen-{name}"


def _read(name: str) -> bytes | None:
    path = PROTO / name
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    main()
