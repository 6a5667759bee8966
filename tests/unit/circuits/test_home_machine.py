"""Processes, damage and attackers around the cache of keys, in any order: no process ever uses another key.

The expected outcome follows from what was done to the files, without hashing them.
"""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.unit.circuits import factories

from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.home import KeyRing

CIRCUITS = st.integers(0, 1)
PROCESSES = st.integers(0, 2)
MADE = {}


@pytest.fixture(scope="module", autouse=True)
def circuits(tmp_path_factory):
    """Two circuits with their setups; a machine has no fixtures of its own."""
    for number, bias in enumerate((0.5, 0.75)):
        MADE[number] = factories.compile_tiny(tmp_path_factory.mktemp("tiny"), bias=bias)
    yield
    MADE.clear()


class Keys(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.cache = self.folder / "keys"
        self.rings = [KeyRing() for _ in range(3)]
        self.held = {0: None, 1: None}  # which key the cached file is, if it is one
        self.open = {"cache": False, 0: False, 1: False}  # what other users can write to

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    def stored(self, number):
        return self.cache / MADE[number].circuit.digest.hex

    # --- processes of the user

    @rule(process=PROCESSES, number=CIRCUITS)
    def need_a_key(self, process, number):
        made, engine = MADE[number], FakeEngine()
        setup = made.home.setups.insecure_dev(made.circuit.manifest.program.setup_size)
        refused = self.open["cache"] or (self.open[number] and self.stored(number).exists())
        if refused:
            with pytest.raises(InputError, match=r"un: chmod"):
                self.rings[process].key_for(made.circuit, engine, setup, self.cache)
            return
        path = self.rings[process].key_for(made.circuit, engine, setup, self.cache)
        assert str(sha256_file(path)) == made.circuit.manifest.keys.proving_key
        self.held[number] = number

    @rule(process=PROCESSES, number=CIRCUITS)
    def look_ahead(self, process, number):
        found = self.rings[process].warm(MADE[number].circuit, self.cache, lambda: None)
        assert found == (self.held[number] == number and not self.open["cache"] and not self.open[number])

    @rule(process=PROCESSES)
    def restart(self, process):
        self.rings[process] = KeyRing()

    # --- accidents and attackers

    @rule(number=CIRCUITS, data=st.sampled_from([b"", b"\0" * 32, b"\0" * 64]))
    def damage(self, number, data):
        if self.stored(number).exists():
            self.stored(number).write_bytes(data)
            self.held[number] = None

    @rule(number=CIRCUITS)
    def swap_for_the_other_key(self, number):
        if self.stored(1 - number).exists() and self.stored(number).exists():
            shutil.copyfile(self.stored(1 - number), self.stored(number))
            self.held[number] = self.held[1 - number]

    @rule(number=CIRCUITS)
    def lose(self, number):
        self.stored(number).unlink(missing_ok=True)
        self.held[number], self.open[number] = None, False

    @rule(what=st.sampled_from(["cache", 0, 1]), shared=st.booleans())
    def share(self, what, shared):
        path = self.cache if what == "cache" else self.stored(what)
        if path.exists():
            path.chmod((0o700 if what == "cache" else 0o600) | (0o022 if shared else 0))
            self.open[what] = shared

    @invariant()
    def keys_are_of_this_user_alone_unless_he_shared_them(self):
        if hasattr(self, "cache") and self.cache.exists():
            for number in MADE:
                path = self.stored(number)
                assert not path.exists() or self.open[number] or path.stat().st_mode & 0o077 == 0


Keys.TestCase.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestKeys = Keys.TestCase
