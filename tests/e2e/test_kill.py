"""A command killed at any moment leaves no results, secrets or processes."""

import json
import os
import signal
import subprocess
import threading
import time

import numpy as np
import pytest
from tests.children import children_of
from tests.e2e.server_process import write_small_model
from tests.e2e.shell import SHM, Shell, nothing_left
from tests.eventually import eventually
from tests.integration import bench

from zkinfer.circuits import Circuit

pytestmark = pytest.mark.alone

COMPILE_MOMENTS, PROVE_MOMENTS = 8, 5


@pytest.fixture(scope="module")
def killed_home(run_folder):
    """A separate home with the setup, free of files from other tests."""
    home = bench.home_in(run_folder / "killed home")
    home.setups.insecure_dev(12)
    return home.root


@pytest.fixture(scope="module")
def small(run_folder):
    """Arguments of a compile, except for its output, that runs all stages including the search within seconds."""
    folder = run_folder / "to compile"
    folder.mkdir()
    model, samples = write_small_model(folder)
    return "compile", model, "--calibration", samples, "--setup", "insecure-dev", "--effort", "quick", "--out"


@pytest.fixture(scope="module")
def durations(run_folder, killed_home, small, digits, answered):
    """The seconds of a complete compile and prove here; also fills the key cache."""
    folder = run_folder / "durations"
    folder.mkdir()
    shell = Shell(killed_home, folder)
    compile_seconds = min(seconds(shell, *small, folder / f"out-{number}") for number in range(2))
    prove = ("prove", digits, "--input", answered / "image-0.json", "--out")
    return compile_seconds, min(seconds(shell, *prove, f"{number}.json") for number in range(3))


def seconds(shell, *arguments):
    start = time.monotonic()
    assert shell.process(*arguments).status == 0
    return time.monotonic() - start


@pytest.fixture
def compiling(small, tmp_path):
    """The arguments of a compile in the folder of `killed`."""
    return *small, tmp_path / "out"


@pytest.fixture
def proving(digits, answered, tmp_path):
    """The arguments of a prove in the folder of `killed`."""
    return "prove", digits, "--input", answered / "image-0.json", "--out", tmp_path / "a.json"


@pytest.fixture
def killed(killed_home, tmp_path):
    return Shell(killed_home, tmp_path)


def stopped(shell, arguments, after, signal_):
    """Start a command and send it a signal; returns its status and output, once all its traces are gone.

    `after` is a number of seconds; None waits until the engine runs.
    """
    before = shell.leftovers()
    with shell.start(*arguments) as process:
        if after is None:
            assert eventually(lambda: children_of(process.pid), 6.0)
        else:
            time.sleep(after)
        os.kill(process.pid, signal_)
        _, stderr = process.communicate(timeout=30)
    assert nothing_left(shell, process.pid, before)
    return process.returncode, stderr


def unfinished(shell):
    """Check that the folder is empty, and that the home has only keys, setups and speeds."""
    assert list(shell.folder.iterdir()) == []
    assert {path.name for path in shell.home.iterdir()} <= {"keys", "setups", "speeds", "rebuilt"}
    assert all(len(path.name) == 64 for path in (shell.home / "keys").iterdir())
    assert {path.suffix for path in (shell.home / "setups").iterdir()} <= {".srs", ".sha256"}


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(COMPILE_MOMENTS))
def test_compile_killed_at_any_moment_leaves_nothing(killed, compiling, durations, moment):
    after = durations[0] * (moment + 0.5) / (COMPILE_MOMENTS + 2)
    status, _ = stopped(killed, compiling, after, signal.SIGKILL)
    assert status == -signal.SIGKILL
    unfinished(killed)


def test_compile_into_a_relative_folder_killed_leaves_nothing(killed, small, durations):
    status, _ = stopped(killed, (*small, "out"), durations[0] * 0.5, signal.SIGKILL)
    assert status == -signal.SIGKILL
    unfinished(killed)


@pytest.mark.parametrize("moment", range(PROVE_MOMENTS))
def test_prove_killed_at_any_moment_leaves_nothing(killed, proving, durations, moment):
    status, _ = stopped(killed, proving, durations[1] * (moment + 0.5) / (PROVE_MOMENTS + 1), signal.SIGKILL)
    assert status in (-signal.SIGKILL, 0)
    if status:
        unfinished(killed)
    else:  # on a machine that is faster now than before, the answer is complete
        assert bench.Attestation.read(killed.folder / "a.json")


def test_compile_and_prove_after_the_kills_succeed(killed, proving, compiling, durations):
    assert killed(*compiling).status == 0
    assert killed(*proving).status == 0
    (killed.folder / "x.json").write_text('{"x": [[0.5, -0.5, 0.25, 1.0]]}')
    assert killed("prove", "out", "--input", "x.json", "--out", "b.json").status == 0
    assert not children_of(os.getpid())


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_compile_interrupted_reports_it_and_leaves_nothing(killed, compiling, durations, share):
    status, stderr = stopped(killed, compiling, durations[0] * share, signal.SIGINT)
    assert status == 130
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    unfinished(killed)


def test_prove_interrupted_reports_it_and_leaves_nothing(killed, proving, durations):
    status, stderr = stopped(killed, proving, None, signal.SIGINT)
    assert (status, "Traceback" in stderr) == (130, False)
    unfinished(killed)


@pytest.mark.parametrize("share", [0.4, 0.65])
def test_compile_terminated_leaves_nothing(killed, compiling, durations, share):
    status, stderr = stopped(killed, compiling, durations[0] * share, signal.SIGTERM)
    assert status in (-signal.SIGTERM, 143)
    assert "Traceback" not in stderr
    unfinished(killed)


def test_prove_terminated_leaves_nothing(killed, proving, durations):
    status, stderr = stopped(killed, proving, None, signal.SIGTERM)
    assert status in (-signal.SIGTERM, 143)
    assert "Traceback" not in stderr
    unfinished(killed)


def test_interrupt_of_the_whole_terminal_leaves_nothing(killed, compiling, durations):
    """Ctrl-C goes to every process of the terminal's group."""
    before = killed.leftovers()
    with killed.start(*compiling) as process:
        time.sleep(durations[0] * 0.5)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert nothing_left(killed, process.pid, before)
    unfinished(killed)


# --- the input, which must not reach the disk


MARKER = (np.random.default_rng(77).integers(20, 108, 64) / 128).astype(np.float32)


def spellings():
    """The marker in every encoding of a witness or an input."""
    integers = [round(float(value) * 128) for value in MARKER]
    yield MARKER[:4].tobytes()
    yield MARKER[:4].astype(np.float64).tobytes()
    yield np.array(integers[:4], np.int64).tobytes()
    for separator in (",", ", "):
        yield separator.join(str(float(value)) for value in MARKER[:4]).encode()
        yield separator.join(map(str, integers[:6])).encode()
    for byteorder in ("big", "little"):
        words = [value.to_bytes(32, byteorder) for value in integers[:2]]
        yield b"".join(words)
        for between in ('","', '", "', '","0x', '", "0x'):
            yield between.join(word.hex() for word in words).encode()


class Watch(threading.Thread):
    """Repeatedly reads all files in some folders, and records those that contain the marker."""

    def __init__(self, *folders):
        super().__init__(daemon=True)
        self.folders, self.seen, self.found, self.rounds = folders, {}, set(), 0
        self.patterns, self.over = list(spellings()), threading.Event()

    def run(self):
        while not self.over.is_set():
            self.look()
            time.sleep(0.01)

    def look(self):
        for folder in self.folders:
            for parent, _, names in os.walk(folder):
                for name in names:
                    self.read(os.path.join(parent, name))  # noqa: PTH118 - called often
        self.rounds += 1

    def read(self, path):
        try:
            status = os.stat(path)  # noqa: PTH116 - called often
            if self.seen.get(path) == (status.st_mtime_ns, status.st_size):
                return
            with open(path, "rb") as file:  # noqa: PTH123 - called often
                data = file.read()
        except OSError:
            return
        self.seen[path] = status.st_mtime_ns, status.st_size
        if any(pattern in data for pattern in self.patterns):
            self.found.add(path)


@pytest.fixture
def watched(killed, durations, tmp_path_factory):
    """A secret input, and a thread that searches for it wherever the command could write."""
    secret, temporary = tmp_path_factory.mktemp("secret"), tmp_path_factory.mktemp("temporary")
    np.savez(secret / "input.npz", image=MARKER.reshape(1, 64))
    watch = Watch(killed.folder, killed.home, temporary, SHM)
    watch.look()
    watch.start()
    yield secret / "input.npz", temporary, watch
    watch.over.set()
    watch.join()
    watch.look()


def prove_secret(shell, digits, watched, out="a.json"):
    path, temporary, _ = watched
    return shell.start("prove", digits, "--input", path, "--out", out, TMPDIR=str(temporary), RUST_LOG="trace")


def test_watch_notices_the_marker_where_it_is_written(watched, killed):
    (killed.folder / "leak").write_text(json.dumps({"image": MARKER.tolist()}))
    assert eventually(lambda: watched[2].found == {str(killed.folder / "leak")}, 6.0)


def test_input_reaches_no_file_but_the_attestation(killed, digits, watched):
    with prove_secret(killed, digits, watched) as process:
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    watched[2].look()
    assert watched[2].rounds > 3
    allowed = {str(killed.folder / "a.json")} | {
        path for path in watched[2].found if "/.zkinfer-" in path and "part" in path
    }
    assert watched[2].found <= allowed
    assert not any(pattern in (stdout + stderr).encode() for pattern in spellings())


@pytest.mark.parametrize("share", [0.4, 0.55, 0.7])
def test_input_reaches_no_file_when_prove_is_killed(killed, digits, watched, durations, share):
    with prove_secret(killed, digits, watched) as process:
        time.sleep(durations[1] * share)
        process.kill()
        process.communicate(timeout=30)
    watched[2].look()
    assert watched[2].found <= {str(killed.folder / "a.json")}


def test_input_is_in_neither_arguments_nor_environment_of_a_child(killed, digits, watched):
    texts = []
    with prove_secret(killed, digits, watched) as process:
        while process.poll() is None:
            texts += [_arguments_and_environment(pid) for pid in children_of(process.pid)]
        process.communicate(timeout=30)
    assert texts
    assert not any(pattern in text for pattern in spellings() for text in texts)


def _arguments_and_environment(pid):
    try:
        done = subprocess.run(
            ["cat", f"/proc/{pid}/cmdline", f"/proc/{pid}/environ"], capture_output=True, check=False, timeout=10
        )
    except OSError:
        return b""
    return done.stdout


# --- damaged caches


def test_truncated_proving_key_in_the_cache_is_regenerated(killed, proving, durations, digits):
    key = killed.home / "keys" / Circuit.open(digits).digest.hex
    whole = key.read_bytes()
    key.write_bytes(whole[:1000])
    assert killed(*proving).status == 0
    assert key.read_bytes() == whole


def test_modified_rebuilt_circuit_gives_no_verdict(killed, durations, answered):
    verify = ("verify", answered / "signed.json", "--model", bench.MODEL, "--unsafe-accept-dev-setup", "--json")
    assert killed(*verify).status == 0
    (rebuilt,) = (killed.home / "rebuilt").glob("*/vk.key")
    rebuilt.write_bytes(rebuilt.read_bytes()[:-1])
    outcome = killed(*verify)
    assert outcome.status == 1
    assert outcome.document["error"]["type"] == "CircuitError"
