import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.unit.verifier.trustroot.factory import A, B, first

from zkinfer.circuits.errors import InputError, TooCostlyError
from zkinfer.circuits.home import Home
from zkinfer.service.dependencies import (
    Capacity,
    Dependencies,
    limits_for,
    locked_state,
    retry_policy_of,
    trust_root_of,
)
from zkinfer.service.errors import StateInUseError
from zkinfer.service.identity import Identity, Rights
from zkinfer.service.limits import CostEstimate
from zkinfer.service.settings import ModelSettings, Proving, Queue, Settings, Trust
from zkinfer.verifier import TrustRootError


def test_second_server_is_refused_with_the_holder_named(tmp_path):
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


def test_folder_writable_by_others_is_refused(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    with pytest.raises(InputError, match="Other users can write"), locked_state(tmp_path / "state"):
        pass


CAPACITY = Capacity(workers=1, memory_bytes=1 << 30)
ALICE = Identity(name="alice")


def settings(queue=None, proving=None):
    return Settings(repository=Path("models"), queue=queue or Queue(), proving=proving or Proving())


@pytest.mark.parametrize(
    ("queue", "proving", "seconds"), [(None, 3600.0, 3600.0), (60.0, 3600.0, 60.0), (7200.0, 3600.0, 3600.0)]
)
def test_limit_of_seconds_is_the_lower_setting(queue, proving, seconds):
    found = settings(Queue(proof_seconds=queue), Proving(job_seconds=proving))
    assert limits_for(ALICE, found, CAPACITY).seconds == seconds


def test_job_predicted_to_exceed_the_limit_is_rejected(backend):
    limits = limits_for(ALICE, settings(proving=Proving(job_seconds=5.0)), CAPACITY)
    assert backend.submit(seconds=4.9, limits=limits)
    with pytest.raises(TooCostlyError, match=r"would take about .*; the limit is 5 s"):
        backend.submit(seconds=5.1, limits=limits)


def test_retry_policy_follows_the_settings():
    policy = retry_policy_of(settings(Queue(attempts=2, begun=7, keep_days=1.0)))
    assert (policy.failures, policy.attempts, policy.finished) == (2, 7, 86_400.0)


def test_rights_of_an_identity_override_the_queue_limit():
    assert limits_for(Identity(name="bob", rights=Rights(unfinished_jobs=3)), settings(), CAPACITY).per_owner == 3
    assert limits_for(ALICE, settings(Queue(per_owner=5)), CAPACITY).per_owner == 5


@pytest.mark.parametrize(
    ("seconds", "workers", "chosen", "mode"),
    [
        (0.4, 1, None, "sync"),
        (1.0, 1, None, "sync"),
        (1.1, 1, None, "async"),
        (0.0, 1, None, "async"),  # unknown
        (0.4, 0, None, "async"),
        (0.4, 1, "none", "none"),
        (9.0, 0, "sync", "sync"),
    ],
)
def test_predicted_seconds_decide_the_proof_mode_of_a_model_unless_it_is_set(seconds, workers, chosen, mode):
    chosen_modes = {} if chosen is None else {"digits": ModelSettings(proof_mode=chosen)}
    dependencies = SimpleNamespace(
        settings=settings().model_copy(update={"models": chosen_modes}),
        capacity=Capacity(workers=workers, memory_bytes=1 << 30),
        estimator=SimpleNamespace(of=lambda _: CostEstimate(1 << 20, seconds, measured=True)),
    )
    assert Dependencies.proof_mode(dependencies, SimpleNamespace(name="digits")) == mode


def test_waiting_for_short_proofs_can_be_turned_off():
    dependencies = SimpleNamespace(
        settings=settings(proving=Proving(sync_seconds=0)),
        capacity=CAPACITY,
        estimator=SimpleNamespace(of=lambda _: CostEstimate(1 << 20, 0.1, measured=True)),
    )
    assert Dependencies.proof_mode(dependencies, SimpleNamespace(name="digits")) == "async"


def test_server_without_a_trust_root_relies_on_the_callers_policies(tmp_path):
    assert trust_root_of(settings(), Home(tmp_path)) is None


def test_server_does_not_start_with_an_unusable_trust_root(tmp_path):
    file, path = first(A, now=datetime.now(UTC)), tmp_path / "root.json"
    trust = Trust(root=path, fingerprint=file.current.root.fingerprint)
    wanted = settings().model_copy(update={"trust": trust})
    with pytest.raises(TrustRootError, match="cannot be read"):
        trust_root_of(wanted, Home(tmp_path))
    path.write_bytes(file.to_bytes())
    assert trust_root_of(wanted, Home(tmp_path)).read().ceremonies == {"perpetual-powers-of-tau"}
    path.write_bytes(first(B, now=datetime.now(UTC)).to_bytes())
    with pytest.raises(TrustRootError, match="have the fingerprint"):
        trust_root_of(wanted, Home(tmp_path))
