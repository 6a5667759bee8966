"""From a draft to a program: masks, bounds, layout and bytes, in that order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.engines.ashlar.bounds import Bounds, bound_network
from zkinfer.circuits.engines.ashlar.constraints import Network, expand
from zkinfer.circuits.engines.ashlar.draft import TableKind
from zkinfer.circuits.engines.ashlar.key import Shape, encode_code
from zkinfer.circuits.engines.ashlar.layout import lay_out
from zkinfer.circuits.engines.ashlar.masks import masked
from zkinfer.circuits.engines.ashlar.stored import stored_table
from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.draft import Draft
    from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe
    from zkinfer.circuits.tensors import Visibility

_MAX_SCALE = 127


@dataclass(frozen=True, slots=True)
class Assembly:
    """A program and what belongs to it.

    `code` is the key without tau*G2 and commitments; `weights` is F; `scales` are those of the outputs. `figures` are
    for display: cells, rows, entries of the committed vectors, words of key and proof.
    """

    code: bytes
    weights: NDArray[np.int64]
    scales: tuple[int, ...]
    figures: dict[str, int]
    shape: Shape
    bounds: Bounds


def assemble(draft: Draft, recipe: AshlarRecipe, visibility: Visibility = "public") -> Assembly:
    """Turn a draft into a program; the same arguments give the same bytes.

    Args:
        draft: the network, quantised under this recipe.
        recipe: names the size of chunks.
        visibility: what a proof reveals of the input.

    Raises:
        UnsupportedModelError: a bound, a table or a size exceeds the limits; the message names node and cure.
        EngineError: the draft contradicts itself.
    """
    for output in draft.outputs:
        if abs(output.scale) > _MAX_SCALE:
            raise UnsupportedModelError(
                f"The scale of output {output.name!r} is {output.scale}, beyond {_MAX_SCALE}.",
                "Lower the exponent of its weights.",
            )
    network = constraints_of(draft)
    bounds = bound_network(network)
    program, weights = lay_out(network, bounds)
    shape = Shape(program, recipe.chunk_bits, visibility)
    code = encode_code(shape)
    return Assembly(code, weights, tuple(output.scale for output in draft.outputs), _figures(shape), shape, bounds)


def constraints_of(draft: Draft) -> Network:
    """The constraints of a draft, with masks; raises as `assemble`, unless only bounds or sizes exceed a limit."""
    network = expand(draft)
    return masked(network, _nonzero(network))


def _nonzero(network: Network) -> set[int]:
    """The blocks whose table has T(0) != 0."""
    found = set()
    for number, block in enumerate(network.blocks, 1):
        table = block.table
        if table is not None and table.kind is TableKind.STORED and stored_table(table).at(0):
            found.add(number)
    return found


def _figures(shape: Shape) -> dict[str, int]:
    lengths = {f"length {name}": length for name, length in shape.lengths.items() if length}
    return {
        "cells": 1 << shape.program.n,
        "rows": 1 << shape.program.n_t,
        **lengths,
        "words of the key": shape.key_words,
        "words of a proof": shape.proof_words,
    }
