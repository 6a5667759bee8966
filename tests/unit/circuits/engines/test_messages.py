import json
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.circuits.engines.ezkl.compiled_programs import Process, request, spec

from zkinfer.circuits.engines.ezkl.tune import search
from zkinfer.circuits.engines.messages import (
    pack_request,
    pack_result,
    read_best,
    unpack_request,
    unpack_result,
    write_best,
)
from zkinfer.circuits.errors import BudgetError, EngineCrashedError, RangeError
from zkinfer.circuits.samples import Labels

TUNED = search.tune(Process(error=dict.fromkeys(range(2, 9), 100)), request(), lambda _: None)
ANSWER = json.loads(json.dumps(pack_result(lambda: TUNED)))
OPTION = ANSWER["options"][-1]


def sent(asked, folder):
    return unpack_request(json.loads(json.dumps(pack_request(asked, folder))))


@pytest.mark.parametrize("labels", [None, Labels("y", np.array([0, 1]))])
def test_request_round_trips(tmp_path, labels):
    changes = {"objective": "gas", "effort": "max", "names": {"v1": "dense"}}
    asked = request(labels=labels, inputs=(spec("x", visibility="hashed"),), **changes)
    found = sent(asked, tmp_path)
    same = (
        "inputs",
        "outputs",
        "budget",
        "max_setup_size",
        "max_memory",
        "workload",
        "objective",
        "effort",
        "speed",
        "names",
    )
    assert all(getattr(found, name) == getattr(asked, name) for name in same)
    assert found.network == asked.network.resolve()
    assert (found.labels and found.labels.classes.tolist()) == (labels and labels.classes.tolist())


def test_limit_of_the_search_arrives_as_it_was_sent(tmp_path):
    assert sent(request(search_seconds=12.5), tmp_path).search_seconds == 12.5
    assert sent(request(), tmp_path).search_seconds is None


def test_best_so_far_is_read_as_it_was_written(tmp_path):
    best = replace(TUNED, samples=8, notes=("it ended",))
    write_best(TUNED, tmp_path / "best.json")
    write_best(best, tmp_path / "best.json")
    assert read_best(tmp_path / "best.json") == best


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[1]", b"\xff"])
def test_best_so_far_of_another_form_is_refused(tmp_path, content):
    (tmp_path / "best.json").write_bytes(content)
    with pytest.raises(EngineCrashedError, match="malformed"):
        read_best(tmp_path / "best.json")


@pytest.mark.parametrize("name", ["x", "file", "../x", "a/b"])
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_arrays_round_trip_with_names_types_and_bits(tmp_path, name, dtype):
    array = np.array([[[0.1, 1.0]]]).astype(dtype)
    found = sent(request(samples={name: array}, reference={name: array}), tmp_path)
    for arrays in (found.samples, found.reference):
        assert list(arrays) == [name]
        assert arrays[name].dtype == array.dtype
        assert arrays[name].tobytes() == array.tobytes()


def test_result_round_trips():
    assert unpack_result(ANSWER) == TUNED
    noted = replace(TUNED, notes=("a lookup table decides the size",))
    assert unpack_result(json.loads(json.dumps(pack_result(lambda: noted)))) == noted
    assert {option.cost is None for option in TUNED.options} == {True, False}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        ANSWER | {"options": None},
        ANSWER | {"run_arguments": 7},
        ANSWER | {"options": [OPTION | {"fidelity": {}}]},
        ANSWER | {"options": [OPTION | {"cost": {"work": 1}}]},
    ],
    ids=str,
)
def test_malformed_answer_is_refused(answer):
    with pytest.raises(EngineCrashedError, match="a malformed answer"):
        unpack_result(answer)


def missing():
    raise BudgetError("None keeps it.", "Allow more.", TUNED.options)


def test_missed_budget_round_trips_with_its_options():
    with pytest.raises(BudgetError, match=r"None keeps it\. Allow more") as refusal:
        unpack_result(json.loads(json.dumps(pack_result(missing))))
    assert refusal.value.options == TUNED.options


def test_error_of_a_search_is_not_an_answer():
    def fail():
        raise RangeError("It broke.")

    with pytest.raises(RangeError, match="It broke"):
        pack_result(fail)


@pytest.mark.parametrize("change", [{"options": None}, {"cause": 7}, {"options": [OPTION | {"cost": 1}]}], ids=str)
def test_malformed_missed_budget_is_refused(change):
    with pytest.raises(EngineCrashedError, match="malformed answer"):
        unpack_result(json.loads(json.dumps(pack_result(missing))) | change)
