import subprocess
import sys

import pytest

from zkinfer.circuits.errors import InputError
from zkinfer.service.dependencies import locked_state
from zkinfer.service.errors import StateInUseError


def test_second_server_is_refused_and_told_by_whom(tmp_path):
    code = "import sys; from pathlib import Path; from zkinfer.service.dependencies import locked_state\n"
    code += "with locked_state(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / "state")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StateInUseError, match=f"process id {holder.pid} uses"), locked_state(tmp_path / "state"):
            pass
        holder.kill()
    with locked_state(tmp_path / "state"):
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_folder_that_others_can_write_to_is_refused(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    with pytest.raises(InputError, match="Others can write"), locked_state(tmp_path / "state"):
        pass
