"""Circuits measured with plain ezkl 23.0.5: `tests/vectors/ezkl_costs.json`.

Keys and proofs (51 circuits): sizes, seconds of processor time and peak bytes of the process, on two cores of a
2.5 GHz server. Gas (19 circuits): one transaction to the verifier of all circuits under the prices of the Osaka fork.
A base is that of the range-check decomposition.
"""

import json

from tests.paths import VECTORS

from zkinfer.circuits.engines.ezkl.layout import layout_as_built

COSTS = VECTORS / "ezkl_costs.json"


def circuits_with(measure, *, least=0):
    """The circuits for which `measure` is at least `least`, as test parameters."""
    circuits = json.loads(COSTS.read_bytes())
    return [circuit for circuit in circuits if circuit["measured"].get(measure, -1) >= least]


def name_of(circuit):
    arguments = circuit["arguments"]
    return f"{circuit['name']}-2^{arguments['logrows']}x{arguments['num_inner_cols']}"


def layout_measured(circuit):
    return layout_as_built(circuit | {"run_args": circuit["arguments"]})
