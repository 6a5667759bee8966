"""Signatures over the report of a feed, and the accounts that may sign it. Needs the extra `chain`, but no node.

Feeds take each set of signatures in one encoding only: `s` in the lower half of the group order, and in the ascending
order of the signers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Protocol

from eth_abi.abi import encode
from eth_keys.datatypes import Signature as EthSignature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from zkinfer.contracts.errors import FeedFormatError, FeedSignatureError
from zkinfer.contracts.identifiers import ZERO_ADDRESS, keccak256

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GROUP_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""The order of secp256k1 (SEC 2, section 2.4.1)."""
MAX_SIGNERS: Final = 31
NO_CONFIG: Final = "0x" + "00" * 32
"""The configuration of feeds without signers, whose inputs come from a contract."""
_CONFIG_TAG: Final = keccak256(b"zkinfer.feed-config.1")


class HashSigner(Protocol):
    """An account that signs a hash as it is, such as eth_account's local accounts."""

    def unsafe_sign_hash(self, message_hash: Any) -> Any:  # noqa: ANN401 - eth_account's signature
        """Sign these 32 bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Signature:
    """An ECDSA signature over secp256k1 with `v` 27 or 28 and `s` in the lower half of the group order.

    Raises:
        FeedFormatError: a number is out of range, or `s` in the upper half.
    """

    r: int
    s: int
    v: int

    def __post_init__(self) -> None:
        if not (0 < self.r < GROUP_ORDER and 0 < self.s <= GROUP_ORDER // 2 and self.v in (27, 28)):
            raise FeedFormatError("A signature is out of range.", "Sign again; s must be in the lower half.")


def sign(digest: bytes, signer: HashSigner) -> Signature:
    """The signature of an account over 32 bytes, without any prefix."""
    signed = signer.unsafe_sign_hash(digest)
    return Signature(int(signed.r), int(signed.s), int(signed.v))


def recover(digest: bytes, signature: Signature) -> str:
    """The account that signed 32 bytes, in lower case; raises FeedSignatureError if there is none."""
    try:
        found = EthSignature(vrs=(signature.v - 27, signature.r, signature.s))
        return found.recover_public_key_from_msg_hash(digest).to_address()
    except (BadSignature, ValidationError) as err:
        raise FeedSignatureError("A signature belongs to no account.", "Sign again.") from err


@dataclass(frozen=True, slots=True)
class SignerConfig:
    """The accounts that sign a feed's reports, and how many of them must.

    Args:
        signers: addresses, strictly ascending and not zero; kept in lower case.
        threshold: how many signatures a report needs, at least 1.

    Raises:
        FeedFormatError: the accounts or the threshold are impossible.
    """

    signers: tuple[str, ...]
    threshold: int

    def __post_init__(self) -> None:
        signers = tuple(one.lower() for one in self.signers)
        object.__setattr__(self, "signers", signers)
        if not 1 <= len(signers) <= MAX_SIGNERS or not all(is_address(one) for one in signers):
            raise FeedFormatError(f"A feed has 1 to {MAX_SIGNERS} signers, each 0x and 40 hex digits.")
        if any(left >= right for left, right in pairwise((ZERO_ADDRESS, *signers))):
            raise FeedFormatError("The signers are not strictly ascending.", "Sort them; leave out doubles and zero.")
        if not 1 <= self.threshold <= len(signers):
            raise FeedFormatError(
                f"The threshold is {self.threshold}, with {len(signers)} signers.",
                "It is at least 1, and at most their number.",
            )

    @classmethod
    def of(cls, signers: Iterable[str], threshold: int) -> SignerConfig:
        """The configuration with these accounts, in any order."""
        return cls(tuple(sorted(one.lower() for one in signers)), threshold)

    @property
    def digest(self) -> str:
        """The name of the configuration: keccak256(abi.encode(tag, signers, threshold))."""
        packed = encode(["bytes32", "address[]", "uint8"], [_CONFIG_TAG, self.signers, self.threshold])
        return "0x" + keccak256(packed).hex()

    def require(self, digest: bytes, signatures: Sequence[Signature]) -> tuple[str, ...]:
        """The accounts that signed.

        Raises:
            FeedSignatureError: there are too few, one is of another account, or they are not in the signers' order.
        """
        if len(signatures) < self.threshold:
            raise FeedSignatureError(f"There are {len(signatures)} signatures; the feed needs {self.threshold}.")
        found = tuple(recover(digest, one) for one in signatures)
        for one in found:
            if one not in self.signers:
                raise FeedSignatureError(f"{one} signed, who is not a signer of the feed.", "Was the report changed?")
        if any(left >= right for left, right in pairwise(found)):
            raise FeedSignatureError("The signatures are not in the order of the signers, or one is there twice.")
        return found

    def arrange(self, digest: bytes, signatures: Iterable[Signature]) -> tuple[Signature, ...]:
        """As many signatures as the threshold asks, in the signers' order; raises FeedSignatureError as `require`.

        Signatures of other accounts and second ones of an account are left out.
        """
        by_signer = {recover(digest, one): one for one in signatures}
        arranged = tuple(by_signer[one] for one in self.signers if one in by_signer)[: self.threshold]
        self.require(digest, arranged)
        return arranged


def is_address(text: str) -> bool:
    """Whether a text is 0x and 40 hex digits in lower case."""
    return is_hex(text, 20)


def is_hex(text: str, size: int) -> bool:
    """Whether a text is 0x and the hex digits of so many bytes in lower case."""
    return len(text) == 2 + 2 * size and text.startswith("0x") and not set(text[2:]) - set("0123456789abcdef")
