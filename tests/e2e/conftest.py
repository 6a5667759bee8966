import json
import shutil

import pytest
from tests.e2e.server_process import Server, compile_small_model
from tests.e2e.shell import Shell
from tests.integration import bench


@pytest.fixture(scope="session")
def home(run_folder):
    return bench.home_in(run_folder)


@pytest.fixture(scope="session")
def digits(run_folder):
    """The folder of the compiled demo model."""
    return bench.digits_circuit(run_folder).folder


@pytest.fixture
def shell(home, tmp_path):
    """A user in an empty folder, whose home has the setup and keys of the demo's circuit."""
    return Shell(home.root, tmp_path)


@pytest.fixture(scope="session")
def answered(run_folder, home, digits):
    """Two attestations of the first image: one without a request, one for request 0x11.. signed by `prover.key`."""
    folder = run_folder / "answered"
    folder.mkdir()
    for number in (0, 1):
        picture = {"image": bench.image(number)["image"].tolist()}
        (folder / f"image-{number}.json").write_text(json.dumps(picture))
    (folder / "passphrase").touch(mode=0o600)
    (folder / "passphrase").write_text("correct horse\n")
    shell = Shell(home.root, folder)
    for name in ("prover", "stranger"):
        assert shell("keys", "new", "--out", f"{name}.key", "--passphrase-file", "passphrase").status == 0
    prove = ("prove", digits, "--input", "image-0.json")
    assert shell(*prove, "--out", "offline.json").status == 0
    signed = ("--key", "prover.key", "--passphrase-file", "passphrase", "--request-id", "0x" + "11" * 32)
    assert shell(*prove, "--out", "signed.json", *signed).status == 0
    return folder


@pytest.fixture
def workplace(shell, answered):
    """A copy of `answered` as the current folder of `shell`."""
    shutil.copytree(answered, shell.folder, dirs_exist_ok=True)
    return shell


@pytest.fixture(scope="session")
def models(run_folder, home):
    """A repository with version 1 of a small model, next to its ONNX file."""
    return compile_small_model(run_folder / "small", home.root)


@pytest.fixture
def server(models, home, tmp_path):
    """A server not yet started; processes left at the end are killed."""
    one = Server(tmp_path, models, home.root)
    yield one
    one.__exit__(None, None, None)
