"""What a program costs: seconds and memory of the prover, bytes of proof and key, and gas of a verification on chain.

Seconds (section 11.3) hold for two cores of a server of 2024. Their constants, and those of memory, were fitted to
ten programs from a perceptron of 4-16-3 to ResNet-20, a forest and 14 dense layers: processor time, which two cores
share evenly, within 6 %, and the peak of the process that proves within 8 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.cost import Work
from zkinfer.circuits.engines.ashlar.gas import gas_of
from zkinfer.circuits.engines.ashlar.program import WORD

if TYPE_CHECKING:
    from zkinfer.circuits.engines.ashlar.key import Shape

_CORES = 2
_FIXED, _PER_POINT, _PER_CELL, _PER_ROW, _PER_WEIGHT = 0.006, 6.7e-6, 0.81e-6, 0.58e-6, 0.057e-6
_SCALAR, _INTEGER, _COUNT = 32, 8, 4  # bytes
_PROCESS_BYTES, _HEAP = 65_000_000, 1.25  # of the interpreter with its modules; what the heap holds back


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of one proof: seconds and bytes of the prover, bytes of the proof, words of the key, gas by step.

    `seconds` are those of two cores, `memory_bytes` the peak of the process that proves.
    """

    seconds: float
    memory_bytes: int
    proof_bytes: int
    key_words: int
    gas: dict[str, int]

    @property
    def transaction(self) -> int:
        """Gas of the whole transaction."""
        return sum(self.gas.values())

    def work(self) -> Work:
        """The engine-neutral form; there is no proving key, and the verifying key takes milliseconds."""
        seconds = _CORES * self.seconds
        return Work(
            keys=0.1 * seconds,
            prove=seconds,
            memory_bytes=self.memory_bytes,
            proving_key_bytes=0,
            proof_bytes=self.proof_bytes,
            gas=self.transaction,
        )


def estimate(shape: Shape) -> Estimate:
    """The cost of a program with these chunks and in this mode."""
    return Estimate(_seconds(shape), _memory(shape), shape.proof_words * WORD, shape.key_words, gas_of(shape))


def _seconds(shape: Shape) -> float:
    """The opening and the commitments over one chunk, then one term for each committed cell, row and weight."""
    cells, rows = 1 << shape.program.n, 1 << shape.program.n_t
    witness = _PER_CELL * cells + _PER_ROW * rows
    return _FIXED + _PER_POINT * (1 << shape.chunk_bits) + witness + _PER_WEIGHT * shape.program.weights


def _memory(shape: Shape) -> int:
    """The process, and what the prover holds in the larger of its two sumchecks (section 11.1)."""
    cells, rows, weights = 1 << shape.program.n, 1 << shape.program.n_t, shape.chunks["F"] << shape.chunk_bits
    p, h = shape.lengths["P"], shape.lengths["H"]
    always = _COUNT * p + _INTEGER * (cells + weights) + 3 * _SCALAR * rows
    first, second = 8 * cells + 6 * rows, 3 * h + 3 * (p + weights) // 2
    return _PROCESS_BYTES + round(_HEAP * (always + _SCALAR * max(first, second)))
