import errno
import os
import signal
import stat
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.unit.circuits.factories import everything_under

from zkinfer.circuits import storage
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.storage import (
    ensure_private_dir,
    private_directory,
    read_file,
    read_private_file,
    refuse_readable,
    refuse_shared,
    refuse_shared_file,
    staged_folder,
    write_atomically,
)


class InterruptionError(Exception):
    pass


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# --- private directories


def test_private_directory_is_private_and_removed_afterwards(tmp_path):
    with private_directory(tmp_path) as path:
        assert path.parent == tmp_path
        assert mode(path) == 0o700
        (path / "secret").write_text("witness")
    assert everything_under(tmp_path) == set()


def test_private_directory_stays_private_under_any_umask(tmp_path):
    before = os.umask(0)
    try:
        with private_directory(tmp_path) as path:
            assert mode(path) == 0o700
    finally:
        os.umask(before)


def test_private_directory_without_a_parent_is_in_memory():
    with private_directory() as path:
        assert path.parent == (Path("/dev/shm") if Path("/dev/shm").is_dir() else Path("/tmp"))
    assert not path.exists()


def test_private_directory_is_removed_after_an_error(tmp_path):
    def fail():
        with private_directory(tmp_path) as path:
            (path / "deep" / "er").mkdir(parents=True)
            raise InterruptionError

    with pytest.raises(InterruptionError):
        fail()
    assert everything_under(tmp_path) == set()


def test_moved_private_directory_is_not_an_error(tmp_path):
    with private_directory(tmp_path) as path:
        path.rename(tmp_path / "kept")
    assert everything_under(tmp_path) == {"kept"}


def test_concurrent_private_directories_are_distinct(tmp_path):
    with private_directory(tmp_path) as first, private_directory(tmp_path) as second:
        assert first != second
    assert everything_under(tmp_path) == set()


def killed_inside(code, cwd):
    """Run a program that prints a line inside its block and then sleeps; kill it there with SIGKILL."""
    program = f"import time\nfrom pathlib import Path\nfrom zkinfer.circuits.storage import *\n{code}"
    with subprocess.Popen([sys.executable, "-c", program], cwd=cwd, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    return line


HOLD = "(path / 'secret').write_text('witness'); print(path, flush=True); time.sleep(60)"


def test_private_directory_is_removed_after_sigkill(tmp_path):
    path = killed_inside(f"with private_directory(Path({str(tmp_path)!r})) as path: {HOLD}", tmp_path)
    assert Path(path).parent == tmp_path
    assert eventually(lambda: not any(tmp_path.iterdir()))


def test_private_directory_next_to_a_relative_path_is_removed_after_sigkill(tmp_path):
    killed_inside(f"with private_directory(Path('.')) as path: {HOLD}", tmp_path)
    assert eventually(lambda: not any(tmp_path.iterdir()), 2.0)


def janitors_of(path):
    return [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if str(path).encode() in content(entry)]


def content(path):
    try:
        return path.read_bytes()
    except OSError:  # that process has ended meanwhile
        return b""


def test_janitor_ends_with_the_directory(tmp_path):
    with private_directory(tmp_path) as path:
        assert eventually(lambda: len(janitors_of(path)) == 1)
    assert janitors_of(path) == []


def test_janitor_survives_ctrl_c(tmp_path):
    program = (
        "import signal, time; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path\nfrom zkinfer.circuits.storage import *\n"
        f"with private_directory(Path({str(tmp_path)!r})) as path: {HOLD}"
    )
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "start_new_session": True}
    with subprocess.Popen([sys.executable, "-c", program], **options) as process:
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
    assert everything_under(tmp_path) == set()


# --- folders in one step


def test_staged_folder_appears_complete_and_alone(tmp_path):
    target = tmp_path / "new" / "circuit"
    with staged_folder(target) as staging:
        (staging / "deep").mkdir()
        (staging / "deep" / "file").write_text("content")
        assert not target.exists()
    assert everything_under(tmp_path) == {"new", "new/circuit", "new/circuit/deep", "new/circuit/deep/file"}


def test_staged_folder_is_private_while_it_is_written(tmp_path):
    with staged_folder(tmp_path / "circuit") as staging:
        assert mode(staging.parent) == 0o700


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_staged_folder_onto_an_existing_path_is_refused_up_front(tmp_path, kind):
    target = tmp_path / "circuit"
    {"folder": target.mkdir, "file": target.touch, "dangling link": lambda: target.symlink_to("nowhere")}[kind]()
    with pytest.raises(InputError, match=r"exists already\. Choose another --out"), staged_folder(target):
        pytest.fail("the block ran")


def test_staged_folder_is_refused_if_its_target_appears_meanwhile(tmp_path):
    target = tmp_path / "circuit"
    with pytest.raises(InputError, match="exists already"), staged_folder(target):
        target.mkdir()
    assert everything_under(tmp_path) == {"circuit"}


def test_staged_folder_after_a_lost_race_keeps_the_other_folder(tmp_path):
    target = tmp_path / "entry"
    with staged_folder(target, exist_ok=True) as staging:
        (staging / "file").write_text("ours")
        target.mkdir()
        (target / "file").write_text("theirs")
    assert (target / "file").read_text() == "theirs"
    assert everything_under(tmp_path) == {"entry", "entry/file"}


def test_staged_folder_race_lost_at_the_rename_is_tolerated(tmp_path, monkeypatch):
    target = tmp_path / "entry"

    def publish_first(self, other, rename=Path.rename):
        target.mkdir()
        (target / "file").write_text("theirs")
        return rename(self, other)

    with staged_folder(target, exist_ok=True):
        monkeypatch.setattr(Path, "rename", publish_first)
    assert (target / "file").read_text() == "theirs"


def test_failed_staged_folder_leaves_nothing(tmp_path):
    def fail():
        with staged_folder(tmp_path / "circuit") as staging:
            (staging / "file").write_text("half")
            raise InterruptionError

    with pytest.raises(InterruptionError):
        fail()
    assert everything_under(tmp_path) == set()


def test_staged_folder_of_a_killed_process_leaves_nothing(tmp_path):
    killed_inside(f"with staged_folder(Path({str(tmp_path / 'circuit')!r})) as path: {HOLD}", tmp_path)
    assert eventually(lambda: not any(tmp_path.iterdir()))


@pytest.mark.skipif(os.geteuid() == 0, reason="permission bits do not bind root")
def test_staged_folder_in_a_read_only_parent_is_refused(tmp_path):
    (tmp_path / "parent").mkdir(mode=0o500)
    target = tmp_path / "parent" / "circuit"
    with pytest.raises(InputError, match="cannot be written: permission denied"), staged_folder(target):
        pytest.fail("the block ran")


@pytest.mark.parametrize("parent", ["file", "file/deeper", "n" * 300])
def test_staged_folder_below_a_file_is_refused(tmp_path, parent):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"), staged_folder(tmp_path / parent / "circuit"):
        pytest.fail("the block ran")


def test_staged_folder_propagates_errors_of_the_block(tmp_path):
    with pytest.raises(PermissionError, match="not for you"), staged_folder(tmp_path / "circuit"):
        raise PermissionError(errno.EACCES, "not for you", "/elsewhere/model.onnx")


# --- files in one step


@pytest.mark.parametrize("wanted", [0o644, 0o600])
def test_write_atomically_sets_content_and_mode(tmp_path, wanted):
    write_atomically(tmp_path / "new" / "file", b"content", mode=wanted)
    assert (tmp_path / "new" / "file").read_bytes() == b"content"
    assert mode(tmp_path / "new" / "file") == wanted
    assert everything_under(tmp_path) == {"new", "new/file"}


def test_write_atomically_replaces_a_link_and_not_its_target(tmp_path):
    (tmp_path / "other").write_text("old")
    (tmp_path / "file").symlink_to("other")
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "other").read_text() == "old"
    assert not (tmp_path / "file").is_symlink()


def test_failed_write_atomically_keeps_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"old")

    def fail(_):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(storage.os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(tmp_path / "file", b"new")
    assert everything_under(tmp_path) == {"file"}
    assert (tmp_path / "file").read_bytes() == b"old"


def test_directory_is_created_private(tmp_path):
    made = ensure_private_dir(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700


def test_missing_directory_is_accepted(tmp_path):
    refuse_shared(tmp_path / "missing")


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o1777])
def test_directory_writable_by_others_is_refused(tmp_path, mode):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(mode)
    with pytest.raises(InputError, match="Other users can write to"):
        ensure_private_dir(tmp_path / "shared")


def test_directory_below_one_writable_by_others_is_refused(tmp_path):
    (tmp_path / "shared" / "own").mkdir(parents=True)
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(InputError, match=r"Other users can rename entries of .*shared"):
        refuse_shared(tmp_path / "shared" / "own")


def test_directory_below_a_sticky_one_is_accepted(tmp_path):
    (tmp_path / "sticky" / "own").mkdir(parents=True)
    (tmp_path / "sticky").chmod(0o1777)
    refuse_shared(tmp_path / "sticky" / "own")


def test_link_to_a_directory_is_refused(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(InputError, match="not a directory of yours"):
        ensure_private_dir(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_directory_of_another_user_is_refused(tmp_path):
    (tmp_path / "theirs").mkdir(mode=0o700)
    os.chown(tmp_path / "theirs", 65534, 65534)
    with pytest.raises(InputError, match="not a directory of yours"):
        refuse_shared(tmp_path / "theirs")


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o444])
def test_file_closed_to_writers_is_accepted(tmp_path, mode):
    (tmp_path / "file").touch(mode=mode)
    refuse_shared_file(tmp_path / "file")


@pytest.mark.parametrize("mode", [0o664, 0o602, 0o666])
def test_file_writable_by_others_is_refused(tmp_path, mode):
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(mode)
    with pytest.raises(InputError, match=r"Other users can write to .*chmod go-w"):
        refuse_shared_file(tmp_path / "file")


def test_link_to_a_file_is_checked_where_it_leads(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "file").touch(mode=0o600)
    (tmp_path / "link").symlink_to("shared/file")
    refuse_shared_file(tmp_path / "link")
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(InputError, match="Other users can write to"):
        refuse_shared_file(tmp_path / "link")


def test_loop_of_links_is_refused(tmp_path):
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(InputError, match=r"loop|symbolic links"):
        refuse_shared_file(tmp_path / "link")


def test_folder_in_place_of_a_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a regular file of yours"):
        refuse_shared_file(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("read", [refuse_shared_file, lambda path: read_private_file(path, max_bytes=9)])
def test_file_of_another_user_is_refused(tmp_path, read):
    (tmp_path / "file").touch(mode=0o600)
    os.chown(tmp_path / "file", 65534, 65534)
    with pytest.raises(InputError, match="not a regular file of yours"):
        read(tmp_path / "file")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_secret_open_to_others_is_refused(tmp_path, mode):
    (tmp_path / "secret").touch()
    (tmp_path / "secret").chmod(mode)
    with pytest.raises(InputError, match=r"can be read by other users.*chmod 600"):
        read_private_file(tmp_path / "secret", max_bytes=9)


def test_secret_is_read_up_to_its_limit(tmp_path):
    (tmp_path / "secret").touch(mode=0o600)
    (tmp_path / "secret").write_bytes(b"123456789")
    assert read_private_file(tmp_path / "secret", max_bytes=9) == b"123456789"
    with pytest.raises(InputError, match="at most 8 bytes"):
        read_private_file(tmp_path / "secret", max_bytes=8)


def test_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        read_file(tmp_path / "pipe", max_bytes=9)


@pytest.mark.parametrize(("mode", "accepted"), [(0o640, True), (0o400, True), (0o660, False), (0o644, False)])
def test_secret_of_root_may_be_read_by_the_services_group(monkeypatch, mode, accepted):
    monkeypatch.setattr(os, "geteuid", lambda: 998)
    status = os.stat_result((0o100000 | mode, 0, 0, 1, 0, 998, 0, 0, 0, 0))
    with nullcontext() if accepted else pytest.raises(InputError, match="can be read by other users"):
        refuse_readable(Path("key"), status)


def test_missing_file_is_refused_with_a_cure(tmp_path):
    with pytest.raises(InputError, match="cannot be read: no such file") as refused:
        read_file(tmp_path / "nothing", max_bytes=9)
    assert refused.value.cure == "Check the path and its permissions."
