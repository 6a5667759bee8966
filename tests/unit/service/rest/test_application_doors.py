"""Both doors have the same limits, tokens and quotas, and share them."""

import asyncio
import time

import numpy as np
import pytest
from tests.unit.service.rest import doors
from tests.unit.service.rest.conftest import OPTIONS
from tests.unit.service.rest.doors import OK

from zkinfer.service.auth import TokenFile
from zkinfer.service.identity import Rights
from zkinfer.service.server import running
from zkinfer.service.settings import Limits, Queue

DOORS = pytest.mark.parametrize("name", ["grpc", "http"])
OTHER = np.zeros((1, 3), np.float32)
WORD = "0x" + "ab" * 32
NO_PROOF = {"zkinfer_proof_mode": "none"}


def changed(settings, **changes):
    return settings.model_copy(update=changes)


def token_for(settings, name="alice", **rights):
    settings.state.mkdir(exist_ok=True, mode=0o700)
    return TokenFile(settings.token_file).new(name, rights=Rights(**rights))[1]


@pytest.fixture
def opened(tiny):
    """Open a server with both doors."""

    class Opened:
        def __init__(self, settings):
            self._settings = settings

        async def __aenter__(self):
            self._server = running(self._settings, tiny.home, **OPTIONS)
            self.server = await self._server.__aenter__()
            self._doors = doors.both(self.server)
            return await self._doors.__aenter__()

        async def __aexit__(self, *error):
            await self._doors.__aexit__(*error)
            await self._server.__aexit__(*error)

    return Opened


@DOORS
async def test_call_without_a_token_is_refused_once_there_is_one(opened, settings, name):
    token = token_for(settings)
    async with opened(settings) as found:
        assert await found[name].models() == ("UNAUTHENTICATED", "UNAUTHENTICATED")
        other = token[:-1] + ("1" if token.endswith("0") else "0")
        assert await found[name].models(other) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
        assert await found[name].models(token) == OK
        assert await found[name].live() == OK


@DOORS
async def test_revoked_token_is_refused_at_the_next_call(opened, settings, name):
    token = token_for(settings)
    async with opened(settings) as found:
        assert await found[name].models(token) == OK
        tokens = TokenFile(settings.token_file)
        tokens.revoke(tokens.list()[0].id)
        assert await found[name].models(token) == ("UNAUTHENTICATED", "UNAUTHENTICATED")


@DOORS
async def test_removed_token_file_lets_nobody_in(opened, settings, name):
    token_for(settings)
    async with opened(settings) as found:
        settings.token_file.unlink()
        assert await found[name].models() == ("UNAVAILABLE", "TOKEN_FILE")


@DOORS
async def test_model_outside_the_rights_of_a_token_is_refused(opened, settings, name):
    token = token_for(settings, models=frozenset({"other"}))
    async with opened(settings) as found:
        assert await found[name].infer(token) == ("PERMISSION_DENIED", "FORBIDDEN")
        assert await found[name].infer(token, model="other") == ("NOT_FOUND", "MODEL_NOT_FOUND")


@pytest.mark.parametrize(("first", "second"), [("grpc", "http"), ("http", "grpc"), ("http", "http")])
async def test_rate_of_a_token_counts_the_calls_of_both_doors(opened, settings, first, second):
    token = token_for(settings, calls_per_second=0.001)
    async with opened(settings) as found:
        assert await found[first].models(token) == OK
        assert await found[second].models(token) == ("RESOURCE_EXHAUSTED", "TOO_MANY_REQUESTS")


@pytest.mark.parametrize(("first", "second"), [("grpc", "http"), ("http", "grpc"), ("http", "http")])
async def test_quota_of_a_token_counts_the_jobs_of_both_doors(opened, settings, first, second):
    token = token_for(settings, unfinished_jobs=1)
    async with opened(settings) as found:
        assert await found[first].infer(token, zkinfer_request_id="one") == OK
        assert await found[second].infer(token, zkinfer_request_id="one") == OK  # the same request
        assert await found[second].infer(token) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")


@DOORS
async def test_quota_of_the_settings_holds_for_callers_without_one_of_their_own(opened, settings, name):
    async with opened(changed(settings, queue=Queue(per_owner=1))) as found:
        assert await found[name].infer() == OK
        assert await found[name].infer(x=OTHER) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")


@DOORS
async def test_full_queue_refuses(opened, settings, name):
    async with opened(changed(settings, queue=Queue(queued=1))) as found:
        assert await found[name].infer() == OK
        assert await found[name].infer(x=OTHER) == ("RESOURCE_EXHAUSTED", "QUEUE_FULL")


@pytest.mark.parametrize(("first", "second"), [("grpc", "http"), ("http", "grpc"), ("http", "http")])
async def test_request_id_of_one_door_conflicts_with_another_request_of_the_other(opened, settings, first, second):
    async with opened(settings) as found:
        assert await found[first].infer(zkinfer_request_id="one") == OK
        conflict = await found[second].infer(x=OTHER, zkinfer_request_id="one")
        assert conflict == ("ALREADY_EXISTS", "REQUEST_CONFLICT")


@pytest.mark.parametrize(("first", "second"), [("grpc", "http"), ("http", "grpc"), ("http", "http")])
async def test_call_that_waits_holds_a_slot_of_both_doors(opened, settings, first, second):
    limited = changed(settings, limits=Limits(concurrent_calls=4, wait_seconds=20))
    async with opened(limited) as found:
        assert await found["grpc"].infer() == OK
        job = await only_job(found)
        waiting = asyncio.create_task(found[first].wait(job, 15))
        await asyncio.sleep(0.3)
        refused = ("RESOURCE_EXHAUSTED", "TOO_MANY_REQUESTS")
        assert await found[second].infer(zkinfer_proof_mode="sync") == refused
        assert await found[second].live() == OK
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.sleep(0.3)
        began = time.monotonic()
        assert await found[second].wait(job, 1) == OK
        assert time.monotonic() - began > 0.9  # without a slot it would have returned at once


@DOORS
async def test_operation_of_another_identity_does_not_exist(opened, settings, name):
    alice, bob = token_for(settings), token_for(settings, "bob")
    async with opened(settings) as found:
        assert await found[name].infer(alice) == OK
        job = await only_job(found, alice)
        assert await found[name].wait(job, 0, bob) == ("NOT_FOUND", "UNKNOWN_OPERATION")
        assert await found[name].cancel(job, bob) == ("NOT_FOUND", "UNKNOWN_OPERATION")
        assert await found[name].wait(job, 0, alice) == OK


@DOORS
async def test_wrong_inputs_are_refused(opened, settings, name):
    async with opened(settings) as found:
        assert await found[name].infer(x=np.zeros((1, 4), np.float32)) == ("INVALID_ARGUMENT", "DATA")
        assert await found[name].infer(x=np.full((1, 3), 1e9, np.float32)) == ("INVALID_ARGUMENT", "RANGE")
        assert await found[name].infer(zkinfer_proof_mode="later") == ("INVALID_ARGUMENT", "DATA")
        assert await found[name].infer(model="unknown") == ("NOT_FOUND", "MODEL_NOT_FOUND")


@DOORS
async def test_created_proof_and_verification_need_token_and_rights(opened, settings, name):
    token = token_for(settings, models=frozenset({"other"}))
    async with opened(settings) as found:
        for refused in (found[name].create(), found[name].verify(b"{}", "{}")):
            assert await refused == ("UNAUTHENTICATED", "UNAUTHENTICATED")
        assert await found[name].create(token) == ("PERMISSION_DENIED", "FORBIDDEN")
        assert await found[name].verify(b"{}", "{}", token) == ("INVALID_ARGUMENT", "POLICY_FILE")


@pytest.mark.parametrize(("first", "second"), [("grpc", "http"), ("http", "grpc"), ("http", "http")])
async def test_created_proofs_count_in_one_quota_and_share_keys(opened, settings, first, second):
    token = token_for(settings, unfinished_jobs=1)
    async with opened(settings) as found:
        assert await found[first].create(token, request_id="one", context={"request_id": WORD}) == OK
        assert await found[second].create(token, request_id="one", context={"request_id": WORD}) == OK
        other = await found[second].create(token, request_id="one", context={"request_id": WORD, "chain_id": "1"})
        assert other == ("ALREADY_EXISTS", "REQUEST_CONFLICT")
        assert await found[second].create(token) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")


@DOORS
async def test_created_proof_with_wrong_fields_is_refused(opened, settings, name):
    async with opened(settings) as found:
        assert await found[name].create(model="unknown") == ("NOT_FOUND", "MODEL_NOT_FOUND")
        assert await found[name].create(x=np.full((1, 3), 1e9, np.float32)) == ("INVALID_ARGUMENT", "RANGE")
        assert await found[name].create(context={"expiry": 1}) == ("INVALID_ARGUMENT", "DEADLINE_PASSED")
        assert await found[name].create(context={"chain_id": "-1"}) == ("INVALID_ARGUMENT", "DATA")


@DOORS
async def test_call_is_counted_and_logged_with_its_door(opened, settings, name, capsys):
    async with opened(settings) as found:
        assert await found[name].infer(**NO_PROOF) == OK
        await asyncio.sleep(0.05)
    line = next(line for line in capsys.readouterr().err.splitlines() if "ModelInfer" in line)
    assert f'"door": "{name}"' in line
    assert '"code": "OK"' in line
    assert '"caller": "anonymous"' in line


async def only_job(found, token=None):
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    async with found["http"].client.get("/v1/operations", headers=headers) as answer:
        [job] = (await answer.json())["operations"]
    return job["name"]
