"""Write the vectors of contributors' proofs shared by pytest and forge: `python -m tests.vectors.make_merkle`.

`merkle.json` holds trees of contributors with their roots, claims with proofs, and claims that the fund has to refuse.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zkinfer.contracts.identifiers import keccak256
from zkinfer.contracts.tills import leaf_of
from zkinfer.works.merkle import Tree

VECTORS = Path(__file__).with_name("merkle.json")
PUBLISHED = {"0x" + "11" * 20: 5 * 10**18, "0x" + "22" * 20: 25 * 10**17}
"""The example in the documentation of OpenZeppelin's library merkle-tree, whose root is published there."""
CLAIMS = 8


def main() -> None:
    VECTORS.write_text(dump(make()))


def dump(document: Any) -> str:
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def make() -> dict[str, Any]:
    return {"trees": [tree(PUBLISHED), *(tree(contributors(count)) for count in (1, 2, 3, 5, 100))]}


def contributors(count: int) -> dict[str, int]:
    """Accounts with weights, the first with the largest that a fund takes from a data set."""
    accounts = ["0x" + keccak256(b"contributor %d" % number)[12:].hex() for number in range(count)]
    return {account: number or (1 << 64) - 1 for number, account in enumerate(accounts)}


def tree(weights: dict[str, int]) -> dict[str, Any]:
    """A tree, the claims of its first contributors, and claims that are none of its."""
    found = Tree.of(leaf_of(*one) for one in weights.items())
    claims = [claim(found, *one) for one in list(weights.items())[:CLAIMS]]
    return {
        "claims": claims,
        "refused": [other for one in claims[:2] for other in mangled(one)],
        "root": text(found.root),
        "totalWeight": str(sum(weights.values())),
    }


def claim(found: Tree, account: str, weight: int) -> dict[str, Any]:
    leaf = leaf_of(account, weight)
    proof = [text(one) for one in found.proof(leaf)]
    return {"account": account, "weight": str(weight), "leaf": text(leaf), "proof": proof}


def mangled(good: dict[str, Any]) -> list[dict[str, Any]]:
    """A claim with one thing changed at a time."""
    proof: list[str] = good["proof"]
    changes: dict[str, dict[str, Any]] = {
        "other weight": {"weight": str(int(good["weight"]) + 1)},
        "other account": {"account": "0x" + "5a" * 20},
        "longer proof": {"proof": [*proof, text(bytes(32))]},
        "leaf in its own proof": {"proof": [good["leaf"], *proof]},
    }
    if proof:
        flipped = bytes([bytes.fromhex(proof[0][2:])[0] ^ 1]) + bytes.fromhex(proof[0][2:])[1:]
        changes["changed bit"] = {"proof": [text(flipped), *proof[1:]]}
        changes["shorter proof"] = {"proof": proof[:-1]}
    if len(proof) > 1:
        changes["other order"] = {"proof": proof[::-1]}
    return [{**good, **change, "reason": reason} for reason, change in changes.items()]


def text(data: bytes) -> str:
    return "0x" + data.hex()


if __name__ == "__main__":
    main()
