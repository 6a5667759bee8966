"""Which nodes become one stored table."""

from fractions import Fraction

import numpy as np
import pytest
from tests.unit.circuits.engines.ashlar.lowering.networks import model, whole

from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan

SCALARS = {"one": 1.0, "two": 2.0, "half": 0.5, "six": 6.0, "zero": 0.0}


def planned(*nodes, outputs="y", shape=(1, 4), **more):
    used = {
        name: np.float32(value) for name, value in SCALARS.items() if any(name in node[1].split() for node in nodes)
    }
    return plan(model(list(shape), outputs, *nodes, **used, **more))


def functions(result):
    return [block.function.identity if block.function else None for block in result.blocks]


@pytest.mark.parametrize(
    ("nodes", "identity"),
    [
        ([("Sigmoid", "x", "s"), ("Mul", "x s", "y")], "Sigmoid(x);Mul(x,$0)"),
        ([("Mul", "x x", "s"), ("Add", "s x", "y")], "Mul(x,x);Add($0,x)"),
        ([("Mul", "x half", "h"), ("Erf", "x", "e"), ("Add", "e one", "p"), ("Mul", "h p", "y")],
         "Mul(x,1/2);Erf(x);Add($1,1);Mul($0,$2)"),
        ([("Clip", "x zero six", "y")], "Clip(x,high=6,low=0)"),
        ([("Pow", "x two", "y")], "Pow(x,2)"),
        ([("Div", "one x", "y")], "Div(1,x)"),
        ([("Max", "x zero", "y")], "Max(x,0)"),
        ([("Abs", "x", "y")], "Abs(x)"),
        ([("Sum", "x one", "s"), ("Tanh", "s", "y")], "Sum(x,1);Tanh($0)"),
    ],
)  # fmt: skip
def test_chain_becomes_one_table(nodes, identity):
    assert functions(planned(*nodes)) == [identity]


@pytest.mark.parametrize(
    "nodes",
    [
        [("Mul", "x half", "h"), ("Relu", "h", "y")],
        [("Relu", "x", "r"), ("Mul", "r two", "y")],
        [("Clip", "x zero", "y")],
        [("Add", "x one", "s"), ("Neg", "s", "y")],
    ],
)
def test_sums_factors_and_rectifiers_need_no_table(nodes):
    assert not any(functions(planned(*nodes)))


def test_longest_chain_is_taken():
    nodes = [("Sigmoid", "x", "s"), ("Add", "s one", "a"), ("Sub", "a half", "b"), ("Relu", "b", "y")]
    assert functions(planned(*nodes)) == ["Sigmoid(x);Add($0,1);Sub($1,1/2);Relu($2)"]


def test_value_that_something_else_reads_ends_the_chain():
    nodes = [("Sigmoid", "x", "s"), ("Mul", "s s", "y"), ("Neg", "s", "z")]
    assert functions(planned(*nodes, outputs="y z")) == ["Sigmoid(x)", "Mul(x,x)"]


def test_output_inside_ends_the_chain():
    nodes = [("Sigmoid", "x", "s"), ("Tanh", "s", "y")]
    assert functions(planned(*nodes, outputs="s y")) == ["Sigmoid(x)", "Tanh(x)"]


def test_vector_constant_ends_the_chain():
    nodes = [("Sigmoid", "x", "s"), ("Mul", "s v", "p"), ("Tanh", "p", "y")]
    assert functions(planned(*nodes, v=whole(1, 4))) == ["Sigmoid(x)", "Tanh(x)"]


def test_two_inputs_are_no_chain():
    nodes = [("MatMul", "x w", "u"), ("Sigmoid", "u", "s"), ("Add", "s x", "t"), ("Tanh", "t", "y")]
    assert functions(planned(*nodes, w=whole(1, 4, 4))) == ["Sigmoid(x)", "Tanh(x)"]


def test_chain_is_the_table_of_the_node_before_it():
    nodes = [("MatMul", "x w", "u"), ("Sigmoid", "u", "s"), ("Mul", "u s", "y")]
    [block] = planned(*nodes, w=whole(1, 4, 3)).blocks
    assert (block.name, block.before) == ("y", "u")


def test_activation_of_a_value_with_two_readers_is_a_block_of_its_own():
    nodes = [
        ("MatMul", "x w", "u"),
        ("Sigmoid", "u", "s"),
        ("Relu", "u", "r"),
        ("MatMul", "r w2", "v"),
        ("Add", "s v", "y"),
    ]
    result = planned(*nodes, w=whole(1, 4, 3), w2=whole(2, 3, 3))
    assert [block.name for block in result.blocks] == ["u", "s", "r"]
    assert (result.clamps, result.stored) == (("u", "r"), ("s",))


def test_branches_of_one_value_are_a_chain():
    nodes = [("MatMul", "x w", "u"), ("Sigmoid", "u", "s"), ("Relu", "u", "r"), ("Add", "s r", "y")]
    assert functions(planned(*nodes, w=whole(1, 4, 3))) == ["Sigmoid(x);Relu(x);Add($0,$1)"]


def test_activation_is_seen_through_views():
    nodes = [
        ("MatMul", "x w", "u"),
        ("Reshape", "u s", "v"),
        ("Tanh", "v", "t"),
        ("Flatten", "t", "f"),
        ("MatMul", "f w2", "y"),
    ]
    [block] = planned(*nodes, w=whole(1, 4, 4), s=np.array([1, 2, 2]), w2=whole(2, 4, 2)).blocks
    assert (block.name, [factor.size for factor in block.factors]) == ("t", [1, 4])


def test_equal_chains_share_their_identity_and_unlike_ones_do_not():
    nodes, value = [], "x"
    for name, alpha in (("a", 0.5), ("b", 0.5), ("c", 0.25)):
        nodes += [("MatMul", f"{value} w", f"{name}0"), ("Elu", f"{name}0", name, {"alpha": alpha})]
        value = name
    nodes.append(("MatMul", "c w", "y"))
    first, second, third = functions(planned(*nodes, w=whole(1, 4, 4)))
    assert first == second != third


def test_clip_in_attributes_of_old_opsets_is_read():
    graph = model([1, 4], "y", ("Clip", "x", "y", {"min": -1.0, "max": 2.5}), opset=10)
    [block] = plan(graph).blocks
    assert block.function.value(Fraction(3)) == Fraction(5, 2)
    assert block.function.value(Fraction(-3)) == -1


def test_clip_without_upper_bound_in_old_opsets_is_a_rectifier():
    graph = model([1, 4], "y", ("Clip", "x", "y", {"min": 0.0, "max": 3.4e38}), opset=10)
    assert plan(graph).blocks[0].rectified
