"""Generated small `insecure-dev` files, and real setup files where available."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.paths import SHARED

from zkinfer.circuits.srs import ceremonies
from zkinfer.circuits.srs.ceremonies import generate_insecure_dev

_BESIDE_THE_REPOSITORY = SHARED / "srs"


@pytest.fixture(scope="session")
def dev_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dev")
    paths = {k: folder / f"dev-{k}" for k in (3, 4, 5)}
    for k, path in paths.items():
        generate_insecure_dev(k, path)
    return paths


@pytest.fixture(scope="session")
def dev_bytes(dev_files):
    return dev_files[3].read_bytes()


@pytest.fixture
def real_file():
    """Finds a real setup file by name, or skips the test."""
    listed = os.environ.get("ZKINFER_SETUP_PATH", "").split(os.pathsep)
    folders = [Path(folder) for folder in listed if folder] + [_BESIDE_THE_REPOSITORY]

    def find(name):
        for folder in folders:
            if (folder / name).is_file():
                return folder / name
        return pytest.skip(f"no {name} in {', '.join(map(str, folders))}; set ZKINFER_SETUP_PATH")

    return find


@pytest.fixture
def rehearsal(monkeypatch):
    """A ceremony that counts as real but has the files of insecure-dev; k = 5 has no pinned digest."""
    dev = ceremonies.by_name(ceremonies.INSECURE_DEV)
    files = {k: dev.files[k] for k in (3, 4)}
    ceremony = replace(dev, name="rehearsal", files=files, url_template="https://127.0.0.1:9/{k}")
    monkeypatch.setattr(ceremonies, "CEREMONIES", (ceremony,))
    return ceremony
