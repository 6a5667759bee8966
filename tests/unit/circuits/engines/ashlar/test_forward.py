import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.unit.circuits.engines.ashlar import drafts as d
from tests.unit.circuits.engines.ashlar.interpreter import Interpreter
from tests.unit.circuits.engines.ashlar.random_drafts import inputs_of, random_drafts

from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.forward import ForwardPass
from zkinfer.circuits.errors import DataError, RangeError, UnsupportedModelError

FAST = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True}


def require_agreement(draft, seed):
    """The interpreter of the bytes and the plain forward pass agree on every integer, and all bounds hold."""
    try:
        made = assemble(draft, d.recipe())
    except UnsupportedModelError:
        assume(False)
    inputs = inputs_of(draft, seed)
    trace, outputs = Interpreter(made.code, made.weights).forward(inputs[0])
    plain = ForwardPass(draft)
    assert outputs == [each[0].tolist() for each in plain.run(inputs)]
    second = iter(trace)  # of the two blocks of a saturation, only the second stands for one of the draft
    kept = [next(second) if block.saturation is None else (next(second), next(second))[1] for block in draft.blocks]
    for block, wanted, (_, _, _, y) in zip(draft.blocks, plain.trace(inputs)[1:], kept, strict=True):
        assert y[positions(block.factors)].tolist() == wanted[0].ravel().tolist()
    for bound, (z, q, _, y) in zip(made.bounds.blocks[1:], trace, strict=True):
        for (low, high), values in ((bound.z, z), (bound.q, q), (bound.y, y)):
            assert low <= min(values)
            assert max(values) <= high


def positions(factors):
    at = np.zeros([factor.size for factor in factors], np.int64)
    for number, factor in enumerate(factors):
        index = np.arange(factor.size) << d.span(factors, number).first
        at += index.reshape([-1 if k == number else 1 for k in range(len(factors))])
    return at.ravel()


@settings(max_examples=300, **FAST)
@given(random_drafts(), st.integers(0, 1 << 16))
def test_random_program_agrees_with_plain_tensors(draft, seed):
    require_agreement(draft, seed)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@settings(max_examples=10_000, **(FAST | {"derandomize": False}))
@given(random_drafts(), st.integers(0, 1 << 16))
def test_ten_thousand_random_programs_agree_with_plain_tensors(draft, seed):
    require_agreement(draft, seed)


def direct_convolution(x, weights, bias, pad):
    """Channels first, stride 1, by the definition."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    side = weights.shape[-1]
    size = x.shape[1] - side + 1
    out = np.zeros((len(weights), size, size), np.int64)
    for y, z in np.ndindex(size, size):
        out[:, y, z] = (weights * x[:, y : y + side, z : z + side]).sum(axis=(1, 2, 3))
    return out + bias[:, None, None]


def direct_pool(x):
    return x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2).sum(axis=(2, 4))


def direct_lenet(draft, x):
    activate = lambda z, shift: np.clip(z + (1 << shift - 1) >> shift, 0, 255)  # noqa: E731
    first, second, third, fourth = draft.blocks
    w = [[term.weights for term in one.terms] for one in (*draft.blocks, draft.outputs[0])]
    x = activate(direct_convolution(x.reshape(1, 28, 28), *w[0], 2), first.shift)
    x = activate(direct_convolution(direct_pool(x), *w[1], 0), second.shift)
    x = activate((w[2][0] * direct_pool(x)).sum(axis=(1, 2, 3)) + w[2][1], third.shift)
    x = activate((w[3][0] * x).sum(axis=1) + w[3][1], fourth.shift)
    return (w[4][0] * x).sum(axis=1) + w[4][1]


def test_lenet_is_computed_as_by_direct_convolutions():
    draft = d.lenet()
    inputs = inputs_of(draft, seed=1, count=2)
    (made,) = ForwardPass(draft).run(inputs)
    assert made.tolist() == [direct_lenet(draft, sample).tolist() for sample in inputs]


def test_samples_together_give_what_each_gives_alone():
    draft = d.layers(6, 4, 3, bits=3, shift=3, width=4, weight=7)
    inputs = inputs_of(draft, seed=2, count=9)
    together, alone = ForwardPass(draft), ForwardPass(draft)
    assert together.run(inputs)[0].tolist() == [alone.run(inputs[n : n + 1])[0][0].tolist() for n in range(9)]


def test_sums_beyond_2_to_the_53_are_exact():
    entry = d.entry(2, bits=1, signed=False)
    of, terms = d.dense(0, entry.factors, [[(1 << 31) - 1, (1 << 31) - 3]], [(1 << 59) + 1])
    draft = d.network(entry, [], [(of, terms)])
    assert ForwardPass(draft).run(np.array([[1, 1]]))[0].tolist() == [[(1 << 59) + (1 << 32) - 3]]


def test_partial_sums_may_wrap():
    entry = d.entry(1, bits=1, signed=False)
    of = entry.factors
    terms = [d.bias_of(of, 0, [v]) for v in ((1 << 62), (1 << 62), -(1 << 62), -(1 << 62), 7)]
    draft = d.network(entry, [], [(of, [d.copied(0, of), *terms])])
    assert ForwardPass(draft).run(np.array([[1]]))[0].tolist() == [[8]]


@pytest.mark.parametrize("value", [8, -9])
def test_input_out_of_range_is_refused(value):
    draft = d.network(d.entry(2), [], [d.dense(0, d.factors(2), [[1, 1]])])
    with pytest.raises(RangeError, match=f"The integer {value} of input 'x'"):
        ForwardPass(draft).run(np.array([[1, 1], [0, value]]))


def test_input_of_another_size_is_refused():
    draft = d.network(d.entry(2), [], [d.dense(0, d.factors(2), [[1, 1]])])
    with pytest.raises(DataError, match="3 elements"):
        ForwardPass(draft).run(np.array([[1, 1, 1]]))


def test_saturation_in_two_blocks_does_not_change_the_function():
    entry = d.entry(3)
    of, terms = d.dense(0, entry.factors, d.random(1, -4000, 4000, 5, 3), d.random(2, -300_000, 300_000, 5))
    one, two = (d.network(entry, [(of, terms, 2, d.clamp(5), *more)], [(of, [d.copied(1, of)])]) for more in ((), (2,)))
    inputs = inputs_of(one, seed=3, count=20)
    made = assemble(two, d.recipe())
    plain = ForwardPass(one).run(inputs)[0].tolist()
    assert plain == ForwardPass(two).run(inputs)[0].tolist()
    assert plain == [Interpreter(made.code, made.weights).forward(x)[1][0] for x in inputs]
