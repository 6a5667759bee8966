"""The tuner with a process that answers at once. What ezkl itself does is for the integration tests."""

from pathlib import Path

import numpy as np
import pytest

from zkinfer.circuits.engines import ezkl_tuner
from zkinfer.circuits.engines.base import TuneRequest
from zkinfer.circuits.engines.ezkl_arguments import EzklArguments
from zkinfer.circuits.engines.ezkl_process import Built, Forward
from zkinfer.circuits.errors import EngineError, RangeError, UnsupportedModelError
from zkinfer.circuits.fidelity import Budget
from zkinfer.circuits.labels import Labels
from zkinfer.circuits.tensors import TensorSpec

X = np.array([[[1.0, -1.0]], [[0.25, 0.75]]])
SETTINGS = {
    "required_lookups": [],
    "required_range_checks": [],
    "model_instance_shapes": [[1, 5], [1, 2], [1, 2]],
    "total_dynamic_col_size": 0,
    "total_shuffle_col_size": 0,
    "total_const_size": 0,
    "module_sizes": {"poseidon": [0, [0]]},
    "num_rows": 1000,
}


def spec(name):
    return TensorSpec(name=name, dtype="float32", shape=(1, 2))


def request(**changes):
    usual = {"network": Path("network"), "inputs": (spec("x"),), "outputs": (spec("y"),), "samples": {"x": X}}
    usual |= {"reference": {"y": X}, "budget": Budget(1.0, 0.01), "max_log_rows": 15}
    return TuneRequest(**usual | changes)


class Process:
    """Computes y = x at the asked scale; `error` says by how much it is wrong at which scale."""

    def __init__(self, *, error=None, rows=None, settings=None, lookups=(0, 0)):
        self.error, self.rows, self.lookups = error or {}, rows or {}, lookups
        self.changes = settings or {}
        self.tried = []

    def _settings(self, arguments):
        rows = self.rows.get(arguments.decomp_base, SETTINGS["num_rows"])
        return SETTINGS | {"num_rows": rows} | self.changes

    def settings(self, network, options, folder):
        return [self._settings(arguments) for arguments in options]

    def build(self, network, inputs, outputs, arguments, folder):
        self.tried.append(arguments.input_scale)
        scaled = [(one.model_copy(update={"scale": arguments.input_scale}),) for one in (*inputs, *outputs)]
        return Built(*scaled, self._settings(arguments))

    def forward(self, folder, batch, *_):
        wrong = self.error.get(self.tried[-1], 0)
        if wrong is None:
            raise RangeError("A value left the range.")
        outputs = [[[value + wrong for value in tensor] for tensor in sample] for sample in batch]
        return Forward(outputs, *self.lookups)


def tuned(process, **changes):
    return ezkl_tuner.tune(process, request(**changes), lambda _: None)


def test_first_scale_that_keeps_the_budget_is_taken():
    process = Process(error={7: 100, 9: 100})
    assert tuned(process)["input_scale"] == 11
    assert process.tried == [7, 9, 11]


def test_scale_at_which_a_value_leaves_the_range_is_passed_over():
    assert tuned(Process(error={7: None}))["param_scale"] == 9


def test_result_is_what_the_engine_accepts():
    arguments = tuned(Process())
    assert EzklArguments.parse(arguments).to_run_arguments() == arguments


def test_result_is_the_same_every_time():
    assert tuned(Process()) == tuned(Process())


def test_no_scale_within_the_budget_is_refused_with_the_last():
    process = Process(error=dict.fromkeys((7, 9, 11, 13), 1 << 13))
    with pytest.raises(EngineError, match=r"No settings keep.*\(scale 13: The error is 100% of the range"):
        tuned(process)


def test_budget_for_the_accuracy_is_kept_with_the_labels():
    changes = {"labels": Labels("y", np.array([0, 1])), "budget": Budget(0, 1, max_accuracy_drop=0)}
    assert tuned(Process(), **changes)["input_scale"] == 7


def test_no_scale_that_keeps_the_absolute_error_is_refused_with_the_last():
    process = Process(error=dict.fromkeys((7, 9, 11, 13), 1 << 12))
    with pytest.raises(EngineError, match=r"scale 13: An output differs by 0\.5, and 0\.25 is allowed\)"):
        tuned(process, budget=Budget(0, 1, max_absolute_error=0.25))


def test_no_scale_that_runs_is_refused():
    with pytest.raises(EngineError, match="none could run"):
        tuned(Process(error=dict.fromkeys((7, 9, 11, 13))))


def test_base_of_the_fewest_rows_is_taken():
    assert tuned(Process(rows={512: 9000, 1024: 5000, 4096: 600, 16384: 17000}))["decomp_base"] == 4096


@pytest.mark.parametrize(("scale", "error"), [(7, {}), (13, {7: None, 9: None, 11: None})])
def test_decomposition_has_headroom_above_two_scales(scale, error):
    arguments = EzklArguments.parse(tuned(Process(error=error)))
    assert arguments.integer_limit >= 1 << (2 * scale + 13)


def test_program_without_lookups_gets_no_lookup_range():
    assert tuned(Process(lookups=(-5, 5)))["lookup_range"] == [0, 0]


@pytest.mark.parametrize("seen", [(-300, 700), (0, 0), (0, 5000), (-1, 0)])
def test_lookup_range_covers_twice_what_was_seen_and_fits_the_rows(seen):
    arguments = tuned(Process(lookups=seen, settings={"required_lookups": ["sigmoid"]}))
    low, high = arguments["lookup_range"]
    assert low <= 2 * seen[0] <= 0 <= 2 * seen[1] <= high
    assert high - low + 1 + 12 <= 1 << arguments["logrows"]


def test_model_too_large_for_every_setup_is_refused_with_the_cure():
    with pytest.raises(UnsupportedModelError, match=r"needs 2\^20 rows.*has 2\^15.*Run `zkinfer setup fetch 20`"):
        tuned(Process(settings={"num_rows": 1 << 19}))


def test_model_a_little_too_large_takes_several_blocks():
    assert tuned(Process(settings={"num_rows": 1 << 16}))["logrows"] == 15


def test_result_for_a_very_large_setup_is_what_the_engine_accepts():
    arguments = tuned(Process(settings={"num_rows": 1 << 25}), max_log_rows=26)
    EzklArguments.parse(arguments)


def test_progress_goes_up():
    seen = []
    ezkl_tuner.tune(Process(error={7: 100}), request(), seen.append)
    assert seen == sorted(seen)
    assert all(0 <= fraction < 1 for fraction in seen)
