"""Read Gemm, MatMul and Conv with constant weights, and constants beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.engines.ashlar.lowering.linear import Linear, Window
from zkinfer.circuits.engines.ashlar.lowering.network import along, fits
from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.lowering.network import Network, Node

    Floats = NDArray[np.float64]

LINEAR = frozenset({"Conv", "Gemm", "MatMul"})
MAX_KERNEL, MAX_STRIDE, MAX_PAD = 127, 16, 127
_PLAIN = "Rewrite it with supported operators, or use the engine ezkl."


def read_linear(node: Node, network: Network) -> Linear:
    """The weights of a Gemm, MatMul or Conv; the node keeps the computed operand alone.

    Raises:
        UnsupportedModelError: the weights are computed, or the geometry is not one that section 1.6 supports.
    """
    computed = [at for at, name in enumerate(node.inputs) if name and name not in network.constants]
    if len(computed) != 1 or computed[0] > (0 if node.op == "Conv" else 1):
        raise UnsupportedModelError(
            f"{node.label} multiplies two computed tensors, or adds a computed bias inside the operator.",
            "Use constant weights, and write a computed bias as an Add; the engine ezkl takes computed tensors.",
        )
    operands = [network.constants.get(name) for name in node.inputs]
    source = node.inputs[computed[0]]
    if node.op == "Gemm":
        result = _gemm(node, operands, computed[0])
    else:
        shape = network.shapes[source]
        result = _conv(node, operands, shape) if node.op == "Conv" else _matmul(node, operands, computed[0], shape)
    node.inputs = [source]
    return result


def constant_factor(node: Node, network: Network, shape: tuple[int, ...], axis: int) -> tuple[str, Floats] | None:
    """The computed operand of Add, Sub, Mul or Div by a constant along an axis, and the constant as a vector.

    None for other nodes, also where the constant is subtracted from, or divided by the value.
    """
    if node.op not in ("Add", "Div", "Mul", "Sub") or len(node.inputs) != 2:
        return None
    for at, name in enumerate(node.inputs):
        array = network.constants.get(name)
        other = node.inputs[1 - at]
        if array is None or other in network.constants or (at == 0 and node.op in ("Div", "Sub")):
            continue
        vector = along(array, shape, axis) if fits(array, shape) else None
        return None if vector is None else (other, vector)
    return None


def _gemm(node: Node, operands: list[NDArray[Any] | None], at: int) -> Linear:
    given = node.attributes
    transposed = bool(given.get("transB" if at == 0 else "transA", 0))
    weights = np.asarray(operands[1 - at], dtype=np.float64)
    # [N, K] for a constant on the right, [M, K] for one on the left.
    weights = weights if transposed == (at == 0) else weights.T
    weights = float(given.get("alpha", 1.0)) * weights
    bias = None
    if len(operands) > 2 and operands[2] is not None:
        bias = float(given.get("beta", 1.0)) * operands[2].astype(np.float64)
        bias = bias.reshape((1,) * (2 - bias.ndim) + bias.shape)
        bias = bias if at == 0 else bias.T
    turned = bool(given.get("transA" if at == 0 else "transB", 0))
    return Linear(weights, bias, summed=at if turned else 1 - at, order=(0, 1) if at == 0 else (1, 0))


def _matmul(node: Node, operands: list[NDArray[Any] | None], at: int, shape: tuple[int, ...]) -> Linear:
    weights = np.asarray(operands[1 - at], dtype=np.float64)
    while weights.ndim > 2 and weights.shape[0] == 1 and weights.ndim <= len(shape):
        weights = weights[0]
    if weights.ndim > 2:
        raise UnsupportedModelError(
            f"{node.label} has weights of shape {list(weights.shape)}: a matrix for each item of a batch.", _PLAIN
        )
    features = weights.ndim == 2
    rank = len(shape)
    if at == 0:
        matrix = weights.T if features else weights.reshape(1, -1)
        return Linear(matrix, None, rank - 1, order=tuple(range(rank)), features=features)
    matrix = weights if features else weights.reshape(1, -1)
    if rank == 1:
        return Linear(matrix, None, 0, order=(0,), features=features)
    order = (*range(rank - 2), rank - 1, rank - 2)
    return Linear(matrix, None, rank - 2, order=order if features else tuple(range(rank)), features=features)


def _conv(node: Node, operands: list[NDArray[Any] | None], shape: tuple[int, ...]) -> Linear:
    weights = np.asarray(operands[1], dtype=np.float64)
    bias = operands[2].astype(np.float64) if len(operands) > 2 and operands[2] is not None else None
    windows = windows_of(node, shape[2:], weights.shape[2:])
    return Linear(weights, bias, summed=1, windows=windows, groups=int(node.attributes.get("group", 1)))


def windows_of(node: Node, sizes: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[Window, ...]:
    """The geometry of a Conv, or of a pool with this kernel, along each spatial axis.

    Raises:
        UnsupportedModelError: three dimensions, dilation, a stride that is no power of two, or too large a kernel.
    """
    given, rank = node.attributes, len(sizes)
    strides = [int(one) for one in given.get("strides", [1] * rank)]
    if rank > 2:
        raise UnsupportedModelError(f"{node.label} has {rank} spatial dimensions.", "Use at most two.")
    if any(one != 1 for one in given.get("dilations", [])):
        raise UnsupportedModelError(f"{node.label} is dilated.", "Use dilations of 1.")
    if any(one & (one - 1) or one > 1 << MAX_STRIDE.bit_length() - 1 for one in strides):
        raise UnsupportedModelError(
            f"{node.label} has strides {strides}.", f"Use strides that are powers of two, up to {MAX_STRIDE}."
        )
    if max(kernel, default=1) > MAX_KERNEL:
        raise UnsupportedModelError(
            f"{node.label} has a kernel of {max(kernel)} places.", f"Use at most {MAX_KERNEL} along an axis."
        )
    pads = begins(node, sizes, kernel, strides)
    if max(pads, default=0) > MAX_PAD or min(pads, default=0) < 0:
        raise UnsupportedModelError(f"{node.label} pads by {pads}.", f"Use pads between 0 and {MAX_PAD}.")
    return tuple(Window(size, stride, pad) for size, stride, pad in zip(kernel, strides, pads, strict=True))


def begins(node: Node, sizes: tuple[int, ...], kernel: tuple[int, ...], strides: list[int]) -> list[int]:
    """The padding before each spatial axis."""
    mode = node.attributes.get("auto_pad", b"NOTSET").decode()
    if mode == "NOTSET":
        return [int(one) for one in node.attributes.get("pads", [0] * len(sizes))][: len(sizes)]
    if mode == "VALID":
        return [0] * len(sizes)
    totals = [
        max((-(-size // stride) - 1) * stride + side - size, 0)
        for size, side, stride in zip(sizes, kernel, strides, strict=True)
    ]
    return [total // 2 if mode == "SAME_UPPER" else total - total // 2 for total in totals]
