import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from tests.paths import ROOT
from tests.unit.circuits.engines.ashlar import drafts as d

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.draft import Axis, Span, Term
from zkinfer.circuits.errors import UnsupportedModelError

VECTORS = ROOT / "tests/vectors/ashlar"


def vector(name):
    return json.loads((VECTORS / f"{name}.json").read_text())


def mlp(weights):
    first, second = (np.array(weights[at : at + 32]) for at in (0, 32))
    entry = d.entry(6)
    hidden, terms = d.dense(0, entry.factors, first.reshape(4, 8)[:, :6], weights[48:52])
    out, last = d.dense(1, hidden, second[:12].reshape(3, 4), weights[52:55])
    return d.network(entry, [(hidden, terms, 3, d.relu(4))], [(out, last)])


def wide(weights):
    entry = d.entry(1, bits=1, signed=False)
    out, terms = d.dense(0, entry.factors, np.array(weights).reshape(32, 1))
    return d.network(entry, [], [(out, terms)])


@pytest.mark.parametrize(
    ("name", "make", "chunk_bits", "visibility"),
    [
        ("mlp_public_1", mlp, 6, "public"),
        ("mlp_committed_1", mlp, 6, "hashed"),
        ("mlp_private_1", mlp, 6, "private"),
        ("wide_public_1", wide, 6, "public"),
    ],
)
def test_code_of_a_vector_is_rebuilt_from_a_draft(name, make, chunk_bits, visibility):
    wanted = vector(name)
    key = bytes.fromhex(wanted["key"][2:])
    made = assemble(make(wanted["weights"]), d.recipe(chunk_bits), visibility)
    assert made.code[:32] == key[:32]
    assert made.code[32:] == key[-len(made.code) + 32 :]
    assert made.weights.tolist() == wanted["weights"]


def cnn(weights):
    """As the vector, whose S, and the tiles and order of axes of its last layer, are not canonical."""
    entry = d.entry(3, 3, bits=4, signed=False)
    kernels = np.array(weights[64:96]).reshape(2, 4, 4)[:, :3, :3]
    maps = d.factors(2, 3, 3)
    spatial = [Axis(d.WALK, o=d.span(maps, 1 + n), i=d.span(entry.factors, n), weight=1 + n, g=-1) for n in (0, 1)]
    conv = [Term(0, (Axis(d.EQ, o=d.span(maps, 0), weight=0), *spatial), weights=kernels)]
    conv.append(d.bias_of(maps, 0, weights[132:134]))
    broadcast = tuple(Axis(d.EQ, o=d.span(maps, 1 + n), i=d.span(entry.factors, n)) for n in (0, 1))
    added = [d.copied(1, maps), Term(0, broadcast, coefficient=2)]
    table = d.stored(lambda q: weights[int(q) + 32], width=4, name="table")
    last = np.concatenate([np.array(weights[96:112]), np.array(weights[112:120])]).reshape(3, 2, 2, 2)
    axes = [Axis(d.EQ, o=Span(0, 2), weight=0), Axis(d.EQ, i=d.span(maps, 0), weight=1)]
    for n in (1, 2):
        whole = d.span(maps, n)
        axes += [Axis(d.EQ, i=Span(whole.first + 1, 1), weight=1 + n), Axis(d.FREE, i=Span(whole.first, 1))]
    out = d.factors(3)
    pooled = [Term(2, tuple(axes), weights=last, tiled=frozenset({0})), d.bias_of(out, 0, weights[128:131])]
    return d.network(entry, [(maps, conv, 2, d.relu(4)), (maps, added, 1, table)], [(out, pooled)])


def test_records_of_a_convolution_and_a_stored_table_are_those_of_the_vector():
    wanted = vector("cnn_public_1")
    made = assemble(cnn(wanted["weights"]), d.recipe(7))
    key = bytes.fromhex(wanted["key"][2:])
    program = key[-32 * int.from_bytes(key[30:32], "big") :]
    bias, bias_length = program.index(bytes.fromhex("0303ffff")), 8 + 3 * 16 + 2  # its tile lies elsewhere
    residual, last = bias + bias_length + 4, program.index(bytes.fromhex("0202010000000003"))
    assert made.code[32:50] == program[:18]  # the input
    assert made.code[62:86] == program[30:54]  # the tables but RANGE
    assert made.code[86 : 32 + bias + bias_length] == program[54 : bias + bias_length]
    assert made.code[32 + residual : 32 + last] == program[residual:last]
    assert made.weights[:120].tolist() == wanted["weights"][:120]


def test_figures_and_scales_of_an_assembly():
    made = assemble(d.layers(64, 32, 10, bits=8, shift=11, weight=200), d.recipe(13))
    assert made.scales == (0,)
    assert made.figures == {
        "cells": 128,
        "rows": 4096,
        "length F": 2608,
        "length P": 4480,
        "length H": 4352,
        "words of the key": 15,
        "words of a proof": 85,
    }


@pytest.mark.parametrize("scale", [128, -128])
def test_output_scale_beyond_127_is_refused(scale):
    draft = d.layers(4, 4, bits=4)
    draft = replace(draft, outputs=(replace(draft.outputs[0], scale=scale),))
    with pytest.raises(UnsupportedModelError, match=f"'out0' is {scale}"):
        assemble(draft, d.recipe())


CODE = """
from tests.unit.circuits.engines.ashlar import drafts as d
from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.digest import sha256
made = assemble(d.lenet(), d.recipe(15), "hashed")
print(sha256(made.code + made.weights.tobytes()).hex)
"""


def test_bytes_are_the_same_twice_and_in_other_processes():
    made = [assemble(d.lenet(), d.recipe(15), "hashed") for _ in range(2)]
    wanted = {sha256(one.code + one.weights.tobytes()).hex for one in made}
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        run = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
        wanted.add(run.stdout.strip())
    assert len(wanted) == 1
