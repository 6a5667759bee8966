"""Client of the contract that compares the proven fingerprints of works."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from web3.types import TxReceipt

    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.identifiers import Request


class Stage(IntEnum):
    """What became of a flag; the numbers of `Stage` in ISimilarity.sol."""

    NONE = 0
    FLAGGED = 1
    CONTESTED = 2
    UPHELD = 3
    RELEASED = 4


@dataclass(frozen=True, slots=True)
class ProvenPrint:
    """A fingerprint as the contract stores it: the code's bits, and those that rounding cannot have changed."""

    bits: int
    sure: int


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag of a younger work by an older one; until `answer_by`, in Unix seconds, silence has no effect."""

    stage: Stage
    answer_by: int
    contested: bool


class Similarity:
    """The contract at an address. Every method that writes raises as `Chain.write`, and RevertedError if refused."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self.address = address

    def print(self, work: int, request: Request, outputs: Sequence[int], bits: int) -> TxReceipt | None:
        """Store the recorded fingerprint of a work; None if it has one with these bits, so that storing is idempotent.

        Args:
            work: the work, registered with the pixels that the request commits to.
            request: the request to the pinned listing, which the ledger has an answer to.
            outputs: the recorded coefficients.
            bits: the code, as `zkinfer.works.prints.read_print` reads it.
        """
        return self._chain.ensure(
            lambda: (found := self.print_of(work)) is not None and found.bits == bits,
            lambda: self._write("print", work, request.fields, list(outputs), bits),
        )

    def flag(self, younger: int, older: int) -> TxReceipt | None:
        """Flag a younger work, as the owner of the older one; None if that flag was raised before."""
        return self._chain.ensure(
            lambda: self.flag_of(younger, older).stage != Stage.NONE, lambda: self._write("flag", younger, older)
        )

    def acknowledge(self, younger: int, older: int, licence: int) -> TxReceipt | None:
        """End a flag, as the owner of the younger work, by a licence to derive from the older; None if it has ended."""
        return self._chain.ensure(
            lambda: self.flag_of(younger, older).stage == Stage.RELEASED,
            lambda: self._write("acknowledge", younger, older, licence),
        )

    def contest(self, younger: int, older: int, uri: str) -> TxReceipt | None:
        """Contest a flag, as the owner or creator of the younger work, with reasons at `uri`; None if it was before."""
        return self._chain.ensure(
            lambda: self.flag_of(younger, older).contested, lambda: self._write("contest", younger, older, uri)
        )

    def uphold(self, younger: int, older: int) -> TxReceipt | None:
        """Uphold a flag: anybody after silence, the arbiter where it was contested; None if it is upheld."""
        return self._chain.ensure(
            lambda: self.flag_of(younger, older).stage == Stage.UPHELD, lambda: self._write("uphold", younger, older)
        )

    def release(self, younger: int, older: int) -> TxReceipt | None:
        """End a flag, as the owner of the older work or the arbiter; None if it has ended."""
        return self._chain.ensure(
            lambda: self.flag_of(younger, older).stage == Stage.RELEASED,
            lambda: self._write("release", younger, older),
        )

    def dismiss(self, younger: int, older: int, path: Sequence[int]) -> TxReceipt | None:
        """End a flag by showing that one work is a declared ancestor of the other; None if it has ended.

        Args:
            younger: the flagged work.
            older: the older work.
            path: from one of them to the other, from child to parent at each step.
        """
        return self._chain.ensure(
            lambda: self.flag_of(younger, older).stage == Stage.RELEASED,
            lambda: self._write("dismiss", younger, older, list(path)),
        )

    def distance(self, one: int, other: int) -> tuple[int, int]:
        """In how many bits two prints differ, of how many that are sure in both; RevertedError if one has no print."""
        distance, compared = self._read("distance", one, other)
        return int(distance), int(compared)

    def print_of(self, work: int) -> ProvenPrint | None:
        """The proven fingerprint of a work; None if there is none."""
        bits, sure = self._read("printOf", work)
        return ProvenPrint(int(bits), int(sure)) if bits else None

    def flag_of(self, younger: int, older: int) -> Flag:
        """The flag of a younger work by an older one; its stage is NONE if there is none."""
        stage, answer_by, contested = self._read("flagOf", younger, older)
        return Flag(Stage(stage), int(answer_by), bool(contested))

    def is_sound(self) -> bool:
        """Whether fingerprints may be acted on: their model is not revoked, and its verifier not stopped."""
        return bool(self._read("isSound"))

    def ledger(self) -> str:
        """Address of the ledger where fingerprints are recorded."""
        return str(self._read("LEDGER")).lower()

    def listing(self) -> str:
        """The one model whose answers are fingerprints."""
        return "0x" + bytes(self._read("LISTING")).hex()

    def margin(self) -> int:
        """By how much rounding can change a coefficient's distance from the median, in units of the outputs."""
        return int(self._read("MARGIN"))

    def _read(self, name: str, *arguments: object) -> Any:  # noqa: ANN401 - any ABI value
        return self._chain.read("Similarity", self.address, name, *arguments)

    def _write(self, name: str, *arguments: object) -> TxReceipt | None:
        return self._chain.write("Similarity", self.address, name, *arguments)
