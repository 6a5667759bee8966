"""The compiler against the executable oracle that lies beside the checkout, where there is one."""

import sys
from importlib import import_module

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.paths import ROOT
from tests.unit.circuits.engines.ashlar import drafts as d
from tests.unit.circuits.engines.ashlar.random_drafts import inputs_of, random_drafts

from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.draft import TableKind
from zkinfer.circuits.engines.ashlar.forward import ForwardPass
from zkinfer.circuits.errors import UnsupportedModelError

FOLDER = ROOT.parent / "shared/engine"
MODES = {"public": "public", "hashed": "committed", "private": "private"}
SMALL_FIELD = (1 << 31) - 1
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the oracle is not at {FOLDER}")


@pytest.fixture(scope="module")
def oracle():
    """The modules oracle, protocol and prover."""
    names = ("oracle", "protocol", "prover")
    sys.path.insert(0, str(FOLDER))
    try:
        modules = [import_module(name) for name in names]
    finally:
        sys.path.remove(str(FOLDER))
    yield modules
    for name in names:
        del sys.modules[name]


def program_of(made, oracle):
    """An assembly as the oracle's program."""
    program = made.shape.program
    weights = made.weights.tolist()

    def table(record):
        kind = oracle.KINDS[record.kind]
        values = weights[record.weights_offset :][: 1 << record.k] if record.kind == TableKind.STORED.value else ()
        return oracle.Table(kind, record.k, record.width, record.offset, tuple(values), record.weights_offset)

    def axis(record):
        o, i = ((span.first, span.bits) if span else () for span in (record.o, record.i))
        kind = oracle.AXES[record.kind.value - 1]
        return oracle.Axis(kind, o, i, record.weight_bits, record.k, record.g, record.bound)

    def terms(records):
        return [
            oracle.Term(
                record.source,
                [axis(each) for each in record.axes],
                [oracle.Tile(tile.offset, tuple((s.first, s.bits) for s in tile.spans)) for tile in record.tiles],
                record.coefficient,
            )
            for record in records
        ]

    def dims(factors):
        return tuple((factor.size, factor.bits) for factor in factors) or ((1, 0),)

    def bits(factors):
        return sum(factor.bits for factor in factors)

    entry = program.input
    blocks = [oracle.Block(bits(entry.factors), entry.offset, entry.table, dims=dims(entry.factors))]
    blocks += [oracle.Block(b.bits, b.offset, b.table, terms(b.terms), b.shift) for b in program.blocks]
    outputs = [oracle.Block(bits(o.factors), 0, 0, terms(o.terms), dims=dims(o.factors)) for o in program.outputs]
    sizes = {"n": program.n, "nt": program.n_t, "S": program.tables[0].k, "c": made.shape.chunk_bits}
    tables = [table(record) for record in program.tables]
    return oracle.Program(
        **sizes, tables=tables, blocks=blocks, outputs=outputs, fixed=weights, mode=MODES[made.shape.visibility]
    )


def assembled(draft, visibility, chunk_bits=6):
    try:
        return assemble(draft, d.recipe(chunk_bits), visibility)
    except UnsupportedModelError:
        assume(False)


SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True}
VISIBILITIES = st.sampled_from(list(MODES))


def require_same(draft, visibility, seed, modules):
    """The oracle writes the same bytes, and computes the same outputs."""
    oracle, protocol, _ = modules
    made = assembled(draft, visibility)
    assume(made.shape.program.n <= 8)
    theirs = program_of(made, oracle)
    assert theirs.encode() == made.code[32:]
    assert protocol.header(protocol.Shape(theirs), len(made.code) // 32 - 1) == made.code[:32]
    inputs = inputs_of(draft, seed)
    *_, outputs = theirs.forward(inputs[0].tolist())
    assert outputs == [each[0].tolist() for each in ForwardPass(draft).run(inputs)]
    return made, theirs, inputs[0].tolist()


@settings(max_examples=20, **SETTINGS)
@given(draft=random_drafts(3), visibility=VISIBILITIES, seed=st.integers(0, 1 << 16))
def test_oracle_writes_the_same_bytes_and_the_same_outputs(oracle, draft, visibility, seed):
    oracle[0].use_field(oracle[0].BN254)
    require_same(draft, visibility, seed, oracle)


@settings(max_examples=8, **SETTINGS)
@given(draft=random_drafts(2), visibility=VISIBILITIES, seed=st.integers(0, 1 << 16))
def test_oracle_proves_and_verifies_a_random_program(oracle, draft, visibility, seed):
    modules = oracle
    _, protocol, prover = modules
    modules[0].use_field(SMALL_FIELD)
    made, theirs, inputs = require_same(draft, visibility, seed, modules)
    assume(max(made.shape.program.n, made.shape.program.n_t, made.shape.vector_bits) <= 12)
    key = prover.setup(theirs, 987654321)
    statement, proof = prover.prove(theirs, key, bytes(32), inputs)
    protocol.verify(theirs, key, statement, proof)
    assert len(proof) == made.shape.proof_words - sum(n for name, n in made.shape.chunks.items() if name != "F") - 3


def test_oracle_refuses_a_wrong_output_of_a_compiled_program(oracle):
    modules = oracle
    _, protocol, prover = modules
    modules[0].use_field(SMALL_FIELD)
    draft = d.layers(6, 4, 3, bits=3, shift=3, width=4, weight=7)
    theirs = program_of(assemble(draft, d.recipe(6)), modules[0])
    key = prover.setup(theirs, 987654321)
    statement, proof = prover.prove(theirs, key, bytes(32), [1, 2, 3, 4, 5, 6])
    protocol.verify(theirs, key, statement, proof)
    wrong = statement._replace(outputs=[statement.outputs[0] + 1, *statement.outputs[1:]])
    with pytest.raises(AssertionError, match="sumcheck A"):
        protocol.verify(theirs, key, wrong, proof)
