"""Two assertions that a generated verifier lacks.

The verifiers that the engine generates read a part of the calldata where the ABI says, and a part at fixed places,
and nothing makes the two agree. Here they are made to: the source gets two conditions, right after the place where it
compares lengths. The text there must be found exactly once, so that a generator that writes anything else stops the
build instead of slipping through.
"""

from __future__ import annotations

from typing import Final

from zkinfer.contracts.errors import PatchError

REUSABLE_ANCHOR: Final = "success := and(success, eq(sub(instance_cptr, 0xa4), proof.length))\n"
DEDICATED_ANCHOR: Final = "let num_instances := mload(NUM_INSTANCES_MPTR)\n"
_CONTRACTS: Final = {REUSABLE_ANCHOR: "contract Halo2VerifierReusable {", DEDICATED_ANCHOR: "contract Halo2Verifier {"}
_ASSERTIONS: Final = """\
                // Added by zkinfer: what is read at fixed places must be what the ABI names.
                success := and(success, eq(proof.offset, {proof}))
                success := and(success, eq(instances.offset, add({instances}, proof.length)))
"""


def patch_reusable(source: str) -> str:
    """Patch the verifier for all circuits; raises PatchError where the source is another one."""
    return _patch(source, REUSABLE_ANCHOR, _ASSERTIONS.format(proof="0x84", instances="0xa4"))


def patch_dedicated(source: str) -> str:
    """Patch the verifier for one circuit; raises PatchError where the source is another one."""
    return _patch(source, DEDICATED_ANCHOR, _ASSERTIONS.format(proof="0x64", instances="0x84"))


def _patch(source: str, anchor: str, assertions: str) -> str:
    for text in (_CONTRACTS[anchor], anchor):
        if source.count(text) != 1:
            raise PatchError(
                f"The generated source holds {text.strip()!r} {source.count(text)} times instead of once.",
                "The engine writes another verifier than this version of zkinfer knows how to mend.",
            )
    return source.replace(anchor, anchor + assertions)
