"""Measure which models and operators are supported, and their cost; writes docs/reference/coverage.md, takes minutes.

    python docs/coverage.py                    everything
    python docs/coverage.py --engine ashlar    what is about one engine; the rest of the page stays as it is
    python docs/coverage.py MODEL ...          only these models; only prints

The models are those of tests/assets/zoo, compiled under insecure-dev. Each operator is measured alone in a small graph;
for ezkl, the rows of the range checks of the graph's inputs and outputs are subtracted.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import coverage_ashlar
import numpy as np
from onnx import parser

from generate import INTRODUCTION, NOTE
from zkinfer.circuits import Budget, Compiled, CompileOptions, Home, compile_model
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.engines.ezkl.client import EzklProcess
from zkinfer.circuits.engines.ezkl.lowering import operators, pipeline
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.errors import ZkinferError
from zkinfer.circuits.frontend import inspect_model
from zkinfer.circuits.frontend import operators as frontend
from zkinfer.circuits.frontend.prune import serialised
from zkinfer.circuits.sandbox import child, resources
from zkinfer.prover import Prover

ROOT = Path(__file__).parents[1]
ZOO = ROOT / "tests/assets/zoo"
ARGUMENTS = EzklArguments(
    input_scale=7, param_scale=7, decomp_base=1024, decomp_legs=3, lookup_range=(-16384, 16384), logrows=17
)
IMAGE, HALVES = "float[1,2,4,4] x", "float[1,2,2,2] y"
# Operators that need a later opset than 18, the default of these graphs.
LATER = {"Gelu": 20, "RMSNormalization": 23, "Swish": 24}
# Graphs of operators that need more than `y = Operator(x)` on float[1,16]: nodes, inputs, outputs.
TWO_INPUTS = "float[1,16] x, float[1,16] x2"
COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
NEAREST = 'mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"'
FORMS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Add", "Div", "Max", "Mean", "Min", "Mul", "Sub", "Sum"), ("y = {}(x, x2)", TWO_INPUTS)),
    **dict.fromkeys(("And", "Or", "Xor"), ("g = Greater(x, c) h = Less(x, c) y = {}(g, h)", "", "bool[1,16] y")),
    **dict.fromkeys(COMPARISONS, ("y = {}(x, c)", "", "bool[1,16] y")),
    **dict.fromkeys(("ArgMax", "ArgMin"), ("y = {}<axis=1>(x)", "", "int64[1,1] y")),
    **dict.fromkeys(("AveragePool", "MaxPool"), ("y = {}<kernel_shape=[2,2], strides=[2,2]>(x)", IMAGE, HALVES)),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), ("y = {}(x)", IMAGE, "float[1,2,1,1] y")),
    **{name: (f"y = {name}<hidden_size=2>(x, w{gates}, r{gates})", "float[4,1,4] x", "float[4,1,1,2] y")
       for name, gates in (("GRU", 3), ("LSTM", 4), ("RNN", 1))},
    "CastLike": ("y = CastLike(x, c)",),
    "Constant": ("n = Constant<value_float=0.5>() y = Add(x, n)",),
    "MeanVarianceNormalization": ("y = MeanVarianceNormalization(x)", IMAGE, "float[1,2,4,4] y"),
    "RMSNormalization": ("y = RMSNormalization(x, c)",),
    "Tile": ("y = Tile(x, reps)", "", "float[1,32] y"),
    "BatchNormalization": ("y = BatchNormalization(x, p, p, p, p)", IMAGE, "float[1,2,4,4] y"),
    "Cast": ("y = Cast<to=7>(x)", "", "int64[1,16] y"),
    "Clip": ("y = Clip(x, low, high)",),
    "Concat": ("y = Concat<axis=1>(x, x2)", "float[1,16] x, float[1,16] x2", "float[1,32] y"),
    "Conv": ("y = Conv(x, k)", IMAGE, "float[1,2,2,2] y"),
    "ConvTranspose": ("y = ConvTranspose(x, k)", IMAGE, "float[1,2,6,6] y"),
    "CumSum": ("y = CumSum(x, one)",),
    "DepthToSpace": ("y = DepthToSpace<blocksize=2>(x)", "float[1,4,2,2] x", "float[1,1,4,4] y"),
    "Einsum": ('y = Einsum<equation="ij,ij->i">(x, x2)', "float[1,16] x, float[1,16] x2", "float[1] y"),
    "Expand": ("y = Expand(x, s2)", "", "float[2,16] y"),
    "Gather": ("y = Gather<axis=1>(x, i)", "int64[1,4] i, float[1,16] x", "float[1,1,4] y"),
    "GatherElements": ("y = GatherElements<axis=1>(x, i)", "int64[1,4] i, float[1,16] x", "float[1,4] y"),
    "GatherND": ("y = GatherND(x, i)", "int64[4,2] i, float[2,8] x", "float[4] y"),
    "Gemm": ("y = Gemm(x, m, b)", "", "float[1,2] y"),
    "InstanceNormalization": ("y = InstanceNormalization(x, p, p)", IMAGE, "float[1,2,4,4] y"),
    "LayerNormalization": ("y = LayerNormalization(x, c, c)",),
    "MatMul": ("y = MatMul(x, m)", "", "float[1,2] y"),
    "Not": ("g = Greater(x, c) y = Not(g)", "", "bool[1,16] y"),
    "PRelu": ("y = PRelu(x, c)",),
    "Pad": ("y = Pad(x, pads)", "", "float[1,18] y"),
    "Pow": ("y = Pow(x, two)",),
    "ReduceProd": ("y = ReduceProd(x)", "float[1,2] x"),
    "Reshape": ("y = Reshape(x, s3)", "", "float[4,4] y"),
    "Resize": (f"y = Resize<{NEAREST}>(x, , scales)", IMAGE, "float[1,2,8,8] y"),
    "ScatterElements": ("y = ScatterElements<axis=1>(x, i, u)", "int64[1,2] i, float[1,16] x, float[1,2] u"),
    "ScatterND": ("y = ScatterND(x, i, u)", "int64[2,2] i, float[2,8] x, float[2] u", "float[2,8] y"),
    "Slice": ("y = Slice(x, one1, four1, one1)", "", "float[1,3] y"),
    "SpaceToDepth": ("y = SpaceToDepth<blocksize=2>(x)", "float[1,1,4,4] x", "float[1,4,2,2] y"),
    "Split": ("y, z = Split<axis=1, num_outputs=2>(x)", "", "float[1,8] y, float[1,8] z"),
    "Squeeze": ("y = Squeeze(x, zero1)", "", "float[16] y"),
    "TopK": ("y, z = TopK<axis=1>(x, two1)", "", "float[1,2] y"),
    "Transpose": ("y = Transpose(x)", "", "float[16,1] y"),
    "Unsqueeze": ("y = Unsqueeze(x, one1)", "", "float[1,1,16] y"),
    "Where": ("g = Greater(x, c) y = Where(g, x, c)",),
}  # fmt: skip


def _constant(kind: str, shape: str, name: str, values: list[float]) -> str:
    return f"{kind}{shape} {name} = {{{','.join(str(value) for value in values)}}}"


def _weights(count: int) -> list[float]:
    return [round(0.05 * (place % 9 - 4) + 0.01, 3) for place in range(count)]


BUDGET = Budget()
PAGE = ROOT / "docs/reference/coverage.md"
ABOUT = f"""\
# Coverage

{NOTE.replace("generate.py", "coverage.py")}
One small model per kind, trained on data sets of scikit-learn, compiled under `insecure-dev` and proven once, with each
of the two [engines](../guides/engines.md). Agreement and error compare the circuit with the float model on held-out
samples. Times depend on the machine and on what else it does: they are for orientation. Repeat with `make coverage`.
"""
MODELS = f"""\
Seconds are those of one proof, including its own verification. "Over budget" means that the circuit works but misses
the default budget on these samples: the same answer for {BUDGET.min_agreement:.0%} of them, and an error (99th
percentile) of at most {BUDGET.max_error:.0%} of the range.

| model | exporter | opset | operators | outcome | agreement | error p99 | rows | k | proof, s | key, MB | proof, B |
| --- | --- | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""
MEASURED = sorted(operators.SUPPORTED | frontend.COMPOSITE | operators.REWRITTEN)
TITLES = ("Models under ezkl", "Models under Ashlar", "Operators", "Operators under Ashlar")
BY_OPERATOR = """\
Rows are per element of the output, in a small graph at scale 7 and decomposition base 1,024. Range checks of inputs and
outputs and lookup tables are not included.

| operator | outcome | rows | reason and cure if refused |
| --- | --- | ---: | --- |"""
CONSTANTS = ", ".join(
    [
        _constant("float", "[1,16]", "c", _weights(16)),
        _constant("float", "[16,2]", "m", _weights(32)),
        _constant("float", "[32,2]", "m32", _weights(64)),
        _constant("float", "[2]", "b", [0.5, -0.5]),
        _constant("float", "[2]", "p", [0.5, 1.5]),
        _constant("float", "[2,2,3,3]", "k", _weights(36)),
        *(_constant("float", f"[1,{2 * gates},4]", f"w{gates}", _weights(8 * gates)) for gates in (1, 3, 4)),
        *(_constant("float", f"[1,{2 * gates},2]", f"r{gates}", _weights(4 * gates)) for gates in (1, 3, 4)),
        _constant("float", "[2]", "pair", [0, 1]),
        _constant("float", "[4]", "scales", [1, 1, 2, 2]),
        *(_constant("float", "", name, [value]) for name, value in (("low", -1), ("high", 1), ("two", 2))),
        *(_constant("int64", "", name, [value]) for name, value in (("one", 1), ("four", 4))),
        *(_constant("int64", "[1]", f"{name}1", [value]) for name, value in
          (("zero", 0), ("one", 1), ("two", 2), ("four", 4), ("sixteen", 16))),
        *(_constant("int64", f"[{len(values)}]", name, values) for name, values in
          (("s2", [2, 16]), ("s3", [4, 4]), ("s16", [1, 16]), ("s32", [1, 32]), ("pads", [0, 1, 0, 1]),
           ("reps", [1, 2]))),
    ]
)  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--engine", choices=("ezkl", "ashlar"))
    options.add_argument("model", nargs="*")
    given = options.parse_args()
    rows_of_model = {"ezkl": model_row, "ashlar": coverage_ashlar.model_row}
    engines = [given.engine] if given.engine else list(rows_of_model)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name in given.model:
            print(*(rows_of_model[engine](ZOO / f"{name}.onnx", scratch) for engine in engines), sep="\n")
        if not given.model:
            write({title: text for engine in engines for title, text in measured_sections(engine, scratch).items()})


def measured_sections(engine: str, scratch: Path) -> dict[str, str]:
    """The sections about an engine, by title."""
    models = sorted(ZOO.glob("*.onnx"))
    if engine == "ezkl":
        rows = [model_row(path, scratch) for path in models]
        table = operator_table(operator_rows(scratch))
        return {TITLES[0]: section(MODELS, rows), TITLES[2]: section(f"{INTRODUCTION}\n{BY_OPERATOR}", table)}
    rows = [coverage_ashlar.model_row(path, scratch) for path in models]
    texts = ((name, graph(*of_one_input(name))) for name in MEASURED)
    table = coverage_ashlar.operator_rows(texts, scratch)
    return {TITLES[1]: section(coverage_ashlar.MODELS, rows), TITLES[3]: section(coverage_ashlar.OPERATORS, table)}


def section(about: str, rows: list[str]) -> str:
    """A section with the day and the machine of its measurement."""
    day, load = f"{datetime.now(UTC):%Y-%m-%d}", f"{os.getloadavg()[2]:.1f}"
    return f"Measured on {day}, {resources.fingerprint()}, load average {load}.\n\n{about}\n" + "\n".join(rows) + "\n"


def write(new: dict[str, str]) -> None:
    """The page with new sections; the others stay."""
    _, *parts = PAGE.read_text().split("\n## ")
    known = {title: text.strip() + "\n" for title, _, text in (part.partition("\n") for part in parts)} | new
    PAGE.write_text(ABOUT + "".join(f"\n## {title}\n\n{known[title]}" for title in TITLES if title in known))


def model_row(path: Path, scratch: Path) -> str:
    """One row of the table of models."""
    summary = inspect_model(path)
    counts = ", ".join(f"{name} {count}" for name, count in summary.operators.items())
    head = f"| {path.stem} | {summary.producer} | {summary.opset} | {counts} |"
    sys.stderr.write(f"{path.stem}\n")
    try:
        return f"{head} {measured(path, scratch)} |"
    except ZkinferError as err:
        return f"{head} refused: {err.cause} | | | | | | | |"


def measured(path: Path, scratch: Path) -> str:
    """Compile and prove a model; the cells of its row."""
    home, engine = Home(scratch / "home"), engine_named()
    samples = path.with_suffix(".npz")
    options = CompileOptions(setup="insecure-dev")
    made = compile_model(path, scratch / path.stem, engine=engine, home=home, calibration=samples, options=options)
    with np.load(samples) as arrays:
        inputs = {name: arrays[name][0] for name in arrays}
    start = time.perf_counter()
    Prover(home=home).prove(made.circuit, inputs)
    seconds, manifest = time.perf_counter() - start, made.circuit.manifest
    figures = (
        outcome(made), f"{manifest.fidelity.agreement:.1%}", f"{manifest.fidelity.error_p99:.2%}",
        f"{manifest.program.figures['rows']:,}", str(manifest.program.figures["log2(rows)"]), f"{seconds:.1f}",
        f"{manifest.keys.proving_key_bytes / 1e6:.0f}", f"{manifest.keys.proof_bytes:,}",
    )  # fmt: skip
    return " | ".join(figures)


def outcome(made: Compiled) -> str:
    """`compiled`, or how the circuit misses the budget on the held-out samples."""
    return f"over budget: {made.shortfall}" if made.shortfall else "compiled"


def operator_rows(scratch: Path) -> dict[str, str]:
    """Rows per element of the output, by operator."""
    process = EzklProcess(child.Limits.for_engine())
    overhead = Overhead.measured(process, scratch)
    comparisons = {
        test: overhead.rows_beyond(rows_of(process, f"y = {test}(x, c)", "", "bool[1,16] y", scratch)) / 16
        for test in ("Greater", "Less")
    }
    found = {}
    for name in MEASURED:
        body, inputs, outputs = form(name)
        try:
            counted = rows_of(process, body, inputs, outputs, scratch)
        except ZkinferError as err:
            found[name] = f"not measured: {err.cause[:80]}"
        else:
            compared = sum(16 * comparisons[test] for test in comparisons if f"{test}(x, c)" in body and test != name)
            found[name] = f"{max(0.0, overhead.rows_beyond(counted) - compared) / counted.results:.1f}"
    return found


@dataclass(frozen=True)
class Graph:
    """Rows of a graph, and the elements of its inputs and outputs."""

    rows: int
    given: int
    results: int


@dataclass(frozen=True)
class Overhead:
    """The rows that a graph takes without its operator."""

    constant: float
    given: float
    results: float

    @classmethod
    def measured(cls, process: EzklProcess, scratch: Path) -> Overhead:
        """Solve for them with two graphs that only reshape, and one that adds, which takes one row per two elements."""
        graphs = (("y = Reshape(x, s16)", ""), ("y = Add(x, x2)", TWO_INPUTS), ("y = Reshape(x, s32)", "float[1,32] x"))
        small, added, large = (rows_of(process, body, inputs, "", scratch).rows for body, inputs in graphs)
        given = (added - 8 - small) / 16
        results = (large - small) / 16 - given
        return cls(small - 16 * given - 16 * results, given, results)

    def rows_beyond(self, graph: Graph) -> float:
        """The rows of the operator."""
        return graph.rows - self.constant - self.given * graph.given - self.results * graph.results


def rows_of(process: EzklProcess, body: str, inputs: str, outputs: str, scratch: Path) -> Graph:
    """Normalise a graph and count its rows and elements."""
    normal, given, results, *_ = pipeline.normal_form(parser.parse_model(graph(body, inputs, outputs)), {}, 7)
    network = scratch / "network.onnx"
    network.write_bytes(serialised(pipeline.with_context(normal, output=False)))
    settings = process.build(network, given, results, ARGUMENTS, scratch).settings
    return Graph(int(settings["num_rows"]), sum(spec.size for spec in given), sum(spec.size for spec in results))


def form(name: str) -> tuple[str, str, str]:
    """Nodes, inputs and outputs of the graph of an operator."""
    body, inputs, outputs = (*FORMS.get(name, ()), "", "", "")[:3]
    return (body or "y = {}(x)").format(name), inputs, outputs


def of_one_input(name: str) -> tuple[str, str, str]:
    """The same, where an operator of two inputs reads the first one and its Relu, or a constant."""
    body, inputs, outputs = form(name)
    if name in ("Div", "Mul"):
        return f"y = {name}(x, c)", "", outputs
    if name == "Concat":
        return "x2 = Relu(x) both = Concat<axis=1>(x, x2) y = MatMul(both, m32)", "", "float[1,2] y"
    if "x2" in inputs:
        return f"x2 = Relu(x) {body}", "", outputs
    return body, inputs, outputs


def graph(body: str, inputs: str, outputs: str) -> str:
    """The text of a graph."""
    ports = f"({inputs or 'float[1,16] x'}) => ({outputs or 'float[1,16] y'})"
    opset = next((version for name, version in LATER.items() if f"= {name}" in body), 18)
    return f'<ir_version: 8, opset_import: ["": {opset}]> g {ports} <{CONSTANTS}> {{ {body} }}'


def operator_table(rows: dict[str, str]) -> list[str]:
    """The table of operators under ezkl."""
    entries = [
        *((name, "compiled", "") for name in operators.SUPPORTED),
        *((name, "rewritten", "") for name in frontend.COMPOSITE | operators.REWRITTEN),
        *((name, "on constants only", "") for name in operators.CONSTANT_ONLY),
        *((f"ai.onnx.ml.{name}", "rewritten", "") for name in frontend.CLASSICAL),
        *(
            (name, "refused", f"It {why}. {cure}")
            for name, (why, cure) in (frontend.REFUSED | operators.REFUSED).items()
        ),
    ]
    return [f"| {name} | {kind} | {rows.get(name, '')} | {why} |" for name, kind, why in sorted(entries)]


if __name__ == "__main__":
    main()
