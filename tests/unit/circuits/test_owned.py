import os

import pytest

from zkinfer.circuits.errors import InputError
from zkinfer.circuits.owned import own_directory, refuse_shared


def test_directory_is_made_for_the_user_alone(tmp_path):
    made = own_directory(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700


def test_missing_directory_is_not_refused(tmp_path):
    refuse_shared(tmp_path / "missing")


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o1777])
def test_directory_that_others_can_write_is_refused(tmp_path, mode):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(mode)
    with pytest.raises(InputError, match="Others can write to"):
        own_directory(tmp_path / "shared")


def test_directory_below_one_that_others_can_write_is_refused(tmp_path):
    (tmp_path / "shared" / "own").mkdir(parents=True)
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(InputError, match=r"Others can rename what lies in .*shared"):
        refuse_shared(tmp_path / "shared" / "own")


def test_directory_below_a_sticky_one_is_taken(tmp_path):
    (tmp_path / "sticky" / "own").mkdir(parents=True)
    (tmp_path / "sticky").chmod(0o1777)
    refuse_shared(tmp_path / "sticky" / "own")


def test_link_to_a_directory_is_refused(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(InputError, match="no directory of yours"):
        own_directory(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_directory_of_another_user_is_refused(tmp_path):
    (tmp_path / "theirs").mkdir(mode=0o700)
    os.chown(tmp_path / "theirs", 65534, 65534)
    with pytest.raises(InputError, match="no directory of yours"):
        refuse_shared(tmp_path / "theirs")
