"""Write the Python stubs of proto/zkinfer/v1, and the descriptors and types of proto/zkinfer/oip.

python proto/generate.py           write them
python proto/generate.py --check   exit 1 where one is out of date

The stubs are committed: made by grpcio-tools 1.81 they load under protobuf 6 and 7, made by a later one they do not.
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
# What zkinfer.oip.messages has beside the messages.
ADDED = b"""
from google.protobuf.descriptor_pool import DescriptorPool as _DescriptorPool

POOL: _DescriptorPool
SERVICE: _descriptor.ServiceDescriptor
"""
TOOLS = "1.81."
# The Python package of Google's common files has these under other names; its descriptor pool keeps the true one.
OPERATIONS = Path("google", "longrunning")
IMPORT, TYPED = b"from google.longrunning import operations_pb2", b"from google.longrunning import operations_proto_pb2"


def main() -> None:
    if not version("grpcio-tools").startswith(TOOLS):
        sys.exit(f"grpcio-tools is {version('grpcio-tools')}; the stubs are made by {TOOLS}x.")
    with TemporaryDirectory() as folder:
        made = generated(Path(folder)) | inference(Path(folder))
    stale = [name for name, text in made.items() if _read(name) != text]
    left = sorted({f"{PACKAGE}/{path.name}" for path in (PROTO / PACKAGE).glob("*_pb2*")} - set(made))
    if "--check" in sys.argv[1:]:
        if stale or left:
            sys.exit(f"out of date: {', '.join(stale + left)}; run python proto/generate.py")
        return
    for name in stale:
        (PROTO / name).write_bytes(made[name])
        print(f"wrote proto/{name}")
    for name in left:
        (PROTO / name).unlink()


def generated(folder: Path) -> dict[str, bytes]:
    """The stubs by path, made in an empty folder."""
    common, renamed, out = Path(code_pb2.__file__).parents[2], folder / "renamed", folder / "out"
    (renamed / OPERATIONS).mkdir(parents=True)
    out.mkdir()
    declared = (common / OPERATIONS / "operations_proto.proto").read_bytes()
    (renamed / OPERATIONS / "operations.proto").write_bytes(declared)
    _compile([PROTO, renamed, common], out)
    stubs = sorted((out / PACKAGE).iterdir())
    return {f"{PACKAGE}/{path.name}": path.read_bytes().replace(IMPORT, TYPED) for path in stubs}


def inference(folder: Path) -> dict[str, bytes]:
    """Of the Open Inference Protocol: the descriptor of its one file, and the types of what is read from it."""
    descriptors = folder / "inference.binpb"
    outputs = [f"--descriptor_set_out={descriptors}", f"--plugin=protoc-gen-mypy={_plugin('mypy')}"]
    outputs += [f"--mypy_out=quiet:{folder}"]
    if protoc.main(["protoc", f"-I{PROTO}", *outputs, str(OPEN_INFERENCE)]):
        sys.exit("protoc failed")
    (declared,) = FileDescriptorSet.FromString(descriptors.read_bytes()).file
    types = (folder / OPEN_INFERENCE).with_name("inference_pb2.pyi").read_bytes()
    of = OPEN_INFERENCE.parent
    return {
        f"{of}/inference.binpb": declared.SerializeToString(deterministic=True),
        f"{of}/messages.pyi": types + ADDED,
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
