"""A publisher, an attacker and an auditor in random order: the auditor never steps back, and never follows a stranger.

The attacker has every file that was published and the keys that were retired. The expected outcome is computed from the
rules alone, without signatures.
"""

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.unit.verifier.forge import NOW
from tests.unit.verifier.trustroot.factory import DAY, KEYS, begun, revocation, roots, signed

from zkinfer.verifier.errors import RootExpiredError, RootRollbackError, RootSignatureError
from zkinfer.verifier.trustroot.pins import Pins
from zkinfer.verifier.trustroot.publisher import changed, is_complete
from zkinfer.verifier.trustroot.signed import RootFile

LIFETIME = timedelta(days=30)
CHOICE = st.integers(0, 1 << 16)


class Roots(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.pins = Pins(self.folder / "trust")
        self.now = NOW
        self.keys, self.threshold = KEYS[:2], 1
        self.file = signed(begun(*self.keys, threshold=1, lifetime=LIFETIME), KEYS[0])
        self.published = [self.file]
        self.accepted = 0

    def teardown(self):
        shutil.rmtree(self.folder)

    def issue(self, signers, **changes):
        self.file = signed(changed(self.file, changes, now=self.now, lifetime=LIFETIME), *signers)
        assert is_complete(self.file)
        self.published.append(self.file)

    @rule()
    def renew(self):
        self.issue(self.keys[: self.threshold])

    @rule(first=st.integers(0, len(KEYS) - 1), count=st.integers(1, 3), threshold=st.integers(1, 3))
    def rotate(self, first, count, threshold):
        new = [KEYS[(first + number) % len(KEYS)] for number in range(count)]
        threshold = min(threshold, count)
        signers = dict.fromkeys([*self.keys[: self.threshold], *new[:threshold]])
        self.issue(signers, roots=roots(*new, threshold=threshold))
        self.keys, self.threshold = new, threshold

    @rule(number=st.integers(0, 255))
    def revoke(self, number):
        kept = [one.model_dump(mode="json", by_alias=True) for one in self.file.current.root.revocations]
        new = revocation(id_=f"sha256:{number:064x}")
        if new["id"] not in {one["id"] for one in kept}:
            self.issue(self.keys[: self.threshold], revocations=[*kept, new])

    @rule(days=st.integers(1, 40))
    def wait(self, days):
        self.now += days * DAY

    @rule(choice=CHOICE, cut=CHOICE)
    def auditor_gets_a_published_file(self, choice, cut):
        """Any file that was ever published, with or without its earlier versions."""
        whole = self.published[choice % len(self.published)]
        file = RootFile(whole.versions[cut % len(whole.versions) :])
        first, last = file.versions[0].root.version, file.current.root
        fresh = self.now < last.expires_at
        follows = self.accepted == 0 or (last.version >= self.accepted and first <= self.accepted + 1)
        try:
            self.pins.accept(file, self.now)
        except RootRollbackError:
            assert not follows
        except RootExpiredError:
            assert follows
            assert not fresh
        else:
            assert follows
            assert fresh
            self.accepted = last.version

    @precondition(lambda self: self.accepted)
    @rule(choice=CHOICE, signers=st.lists(st.sampled_from(KEYS), unique=True, max_size=3))
    def attacker_adds_a_version(self, choice, signers):
        """Signed by any keys but enough of the current ones."""
        whole = self.published[choice % len(self.published)]
        present = whole.current.root.roots
        legal = {key.fingerprint for key in present.keys}
        if sum(key.public.fingerprint in legal for key in signers) >= present.threshold:
            return
        forged = changed(whole, {"roots": roots(*KEYS[:1]), "setups": ["hermez"]}, now=self.now, lifetime=LIFETIME)
        known = legal | {KEYS[0].public.fingerprint}
        forged = signed(forged, *(key for key in signers if key.public.fingerprint in known))
        self.refused(forged, RootSignatureError, RootRollbackError)

    @precondition(lambda self: self.accepted)
    @rule(number=st.integers(0, len(KEYS) - 1))
    def attacker_begins_a_root_of_the_same_name(self, number):
        fresh = signed(begun(KEYS[number], now=self.now, lifetime=2 * LIFETIME), KEYS[number])
        self.refused(fresh, RootRollbackError)

    def refused(self, file, *kinds):
        with pytest.raises(kinds) as caught:
            self.pins.accept(file, self.now)
        assert caught.value.cure

    @invariant()
    def pin_is_what_was_accepted_last(self):
        pin = self.pins.find("acme.example")
        assert (pin.signed.root.version if pin else 0) == self.accepted


Roots.TestCase.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
TestRoots = Roots.TestCase
