"""A fake ezkl process that answers immediately, and tuning requests for it; integration tests run ezkl itself."""

from pathlib import Path

import numpy as np

from zkinfer.circuits.engines.base import TuneRequest
from zkinfer.circuits.engines.ezkl.client import Built, EzklProcess, Forward
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.errors import RangeError
from zkinfer.circuits.fidelity import Budget
from zkinfer.circuits.frontend import Layer, Workload
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.tensors import TensorSpec

X = np.array([[[1.0, -1.0]], [[0.25, 0.75]]])
DENSE = Layer(name="dense", operator="Gemm", multiplications=900, elements=10)


def spec(name, **changes):
    return TensorSpec(**{"name": name, "dtype": "float32", "shape": (1, 2)} | changes)


def request(**changes):
    usual = {"network": Path("network"), "inputs": (spec("x"),), "outputs": (spec("y"),), "samples": {"x": X}}
    usual |= {"reference": {"y": X}, "budget": Budget(1.0, 0.01), "max_setup_size": 20, "max_memory": 1 << 40}
    usual |= {"workload": Workload(multiplications=900, elements=100, heaviest=(DENSE,))}
    return TuneRequest(**usual | changes)


def least_arguments(network, arguments):
    """The least run arguments that give the same program, which are the only ones that the engine builds."""
    process, given = EzklProcess(Limits()), EzklArguments.parse(arguments)
    [settings] = process.sketch(network, [given], network.parent)
    return process.least(network, given, settings).to_run_arguments()


class Process:
    """Computes y = x at the requested scale; everything else is configured.

    Args:
        error: by how many integer steps the answers are off, by input scale; None leaves the range.
        bits: of the widest integer, for given run arguments.
        products, digits: cells assigned once, and per leg of a decomposition.
        lookups: the range of lookup arguments; None without lookups.
        unsound: predicate for run arguments to refuse as unsound.
        least: the least run arguments with the same program as the given ones.
        settings: overrides of the engine's settings.
    """

    widest = None  # the function with the widest arguments

    def __init__(
        self,
        *,
        error=None,
        bits=lambda scales: scales.param_scale + scales.input_scale + 4,
        products=1000,
        digits=100,
        lookups=None,
        unsound=lambda arguments: False,
        least=lambda arguments: arguments,
        **settings,
    ):
        self.error, self.bits, self.products, self.digits = error or {}, bits, products, digits
        self.lookups, self.unsound, self.to_least, self.changes = lookups, unsound, least, settings
        self.tried, self.batches, self.guesses, self.exact = [], [], [], []

    def _settings(self, arguments):
        usual = {
            "run_args": arguments.to_run_arguments(),
            "required_lookups": [] if self.lookups is None else ["Sigmoid"],
            "required_range_checks": [[-1, 1], [0, arguments.decomp_base - 1]],
            "model_instance_shapes": [[1, 5], [1, 2], [1, 2]],
            "total_assignments": self.products + self.digits * arguments.decomp_legs,
            "total_const_size": 10,
            "total_dynamic_col_size": 0,
            "total_shuffle_col_size": 0,
            "num_dynamic_lookups": 0,
            "num_shuffles": 0,
            "module_sizes": {"poseidon": [0, [0]]},
        }
        usual["num_rows"] = usual["total_assignments"] // arguments.num_inner_cols
        return usual | self.changes

    def sketch(self, network, options, folder):
        return [self._settings(arguments) for arguments in options]

    def settings(self, network, options, folder):
        self.exact.append(list(options))
        return [None if self.unsound(arguments) else self._settings(arguments) for arguments in options]

    def why_unsound(self, request, arguments):
        return ["The product 'p' could grow.", "Use smaller constants."] if self.unsound(arguments) else []

    def least(self, network, arguments, settings):
        return self.to_least(arguments)

    def widest_lookup(self, network, inputs, batch):
        return self.widest

    def try_out(self, network, inputs, outputs, arguments, batch, folder, *, likely_bits):
        self.tried.append((arguments.input_scale, arguments.param_scale, arguments.scale_rebase_multiplier))
        self.batches.append(batch)
        self.guesses.append(likely_bits)
        wrong = self.error.get(arguments.input_scale, 0)
        if wrong is None:
            raise RangeError("A value left the range.")
        answers = [[[(value >> inputs[0].scale) + wrong for value in tensor] for tensor in sample] for sample in batch]
        scaled = [tuple(one.model_copy(update={"scale": arguments.input_scale}) for one in inputs) for _ in range(2)]
        scaled[1] = tuple(one.model_copy(update={"scale": arguments.input_scale}) for one in outputs)
        answer = Forward(answers, *(self.lookups or (0, 0)))
        return Built(*scaled, self._settings(arguments)), answer, self.bits(arguments)
