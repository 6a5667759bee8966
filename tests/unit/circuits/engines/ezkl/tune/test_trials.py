import numpy as np
import pytest
from tests.unit.circuits.engines.ezkl.compiled_programs import Process, request, spec

from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.engines.ezkl.tune.trials import Scales, try_scales, wide_arguments
from zkinfer.circuits.errors import DataError, EngineError
from zkinfer.circuits.samples import Labels

SEVEN = Scales(7, 7, 2)


def test_scales_are_formatted_on_one_line():
    assert str(Scales(7, 6, 2)) == "scales 7/6, rescaled at 2x"


@pytest.mark.parametrize("visibility", ["public", "hashed", "private"])
def test_wide_arguments_keep_scales_and_visibility_with_a_wide_range(visibility):
    asked = request(inputs=(spec("x", visibility=visibility),))
    arguments = wide_arguments(Scales(14, 2, 3), asked)
    assert arguments.integer_limit == 1 << 60
    assert (arguments.input_scale, arguments.param_scale, arguments.scale_rebase_multiplier) == (14, 2, 3)
    assert arguments.input_visibility == visibility


def test_wide_arguments_are_refused_for_proofs():
    with pytest.raises(EngineError, match="tables that do not fit four blocks"):
        EzklArguments.parse(wide_arguments(SEVEN, request()).to_run_arguments())


@pytest.mark.parametrize("scales", [Scales(0, 7, 1), Scales(7, 21, 1), Scales(7, 7, 4)])
def test_scales_that_the_engine_does_not_accept_are_refused(scales):
    with pytest.raises(ValueError, match=r"input_scale|param_scale|scale_rebase_multiplier"):
        wide_arguments(scales, request())


def test_samples_are_quantised_at_the_scale_of_the_inputs():
    process = Process()
    try_scales(process, request(), Scales(3, 9, 1))
    assert process.batches == [[[[8, -8]], [[2, 6]]]]


def test_integer_inputs_have_no_scale():
    process, inputs = Process(), (spec("x", dtype="int64"),)
    asked = request(inputs=inputs, samples={"x": np.array([[[5, -5]], [[1, 2]]])})
    try_scales(process, asked, SEVEN)
    assert process.batches == [[[[5, -5]], [[1, 2]]]]


def test_trial_without_an_error_agrees_everywhere():
    trial = try_scales(Process(), request(), SEVEN)
    assert (trial.scales, trial.fidelity.error_max, trial.fidelity.agreement) == (SEVEN, 0.0, 1.0)
    assert (trial.bits, trial.lookups) == (18, (0, 0))


def test_trial_reports_its_error():
    trial = try_scales(Process(error={7: 32}), request(), SEVEN)
    assert trial.fidelity.absolute_max == 0.25


def test_trial_with_labels_reports_the_accuracy():
    labels = Labels("y", np.array([0, 0]))
    assert try_scales(Process(), request(labels=labels), SEVEN).fidelity.accuracy.circuit == 0.5


def test_trial_keeps_lookups_and_settings():
    trial = try_scales(Process(lookups=(-3, 9)), request(), SEVEN)
    assert trial.lookups == (-3, 9)
    assert trial.settings["required_lookups"] == ["Sigmoid"]


def test_value_beyond_the_widest_range_fails_the_trial():
    assert try_scales(Process(error={7: None}), request(), SEVEN) is None


def test_error_of_the_engine_is_propagated():
    process = Process()

    def fail(*_, **__):
        raise EngineError("It broke.")

    process.try_out = fail
    with pytest.raises(EngineError, match="It broke"):
        try_scales(process, request(), SEVEN)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_samples_are_refused(value):
    with pytest.raises(DataError, match="finite numbers only"):
        try_scales(Process(), request(samples={"x": np.array([[[1.0, value]]])}), SEVEN)


def test_trial_measures_its_bits_for_any_guess():
    process = Process(bits=lambda arguments: 23)
    assert [try_scales(process, request(), SEVEN, guess).bits for guess in (0, 99)] == [23, 23]
    assert process.guesses == [0, 99]


@pytest.mark.parametrize(("scales", "bits"), [((7, 7), 18), ((8, 8), 20), ((6, 7), 17), ((2, 2), 8), ((14, 14), 32)])
def test_guess_grows_with_later_rescaling(scales, bits):
    trial = try_scales(Process(), request(), SEVEN)
    assert trial.bits_at(Scales(*scales, 2)) == bits
