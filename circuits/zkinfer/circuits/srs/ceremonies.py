"""The known ceremonies, each pinned by its tau*G2 and by the digests of its published files.

Sources of this table:

- digests of `perpetual-powers-of-tau`: github.com/zkonduit/ezkl `src/srs_sha.rs` (PUBLIC_SRS_SHA256_HASHES);
- addresses: github.com/zkonduit/ezkl `src/pfsys/srs.rs` (PUBLIC_SRS_URL), a bucket filled by
  github.com/han0110/halo2-kzg-srs, which converted both ceremonies and serves `hermez-raw-K` as well;
- tau*G2 of `perpetual-powers-of-tau`: from its file for k = 1, whose digest is in that same table;
- `hermez`: its file for k = 11, whose tau*G2 and first powers equal `powersOfTau28_hez_final_08.ptau`;
- `insecure-dev`: generated below, from a public tau, for tests and demonstrations; a test reproduces it. A party that
  knows tau can open a commitment to any value and forge any proof, so a verifier rejects this setup unless its policy
  explicitly allows it.

For each tau and k there is exactly one valid file, so a tau*G2 pins every size; a digest replaces the long check.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.srs.bn254 import GENERATOR, ORDER, FixedBase, domain_root, generator_g2, invert_all, multiply_g2
from zkinfer.circuits.srs.file_format import BATCH, encode_g1, encode_g2, require_k
from zkinfer.circuits.storage import atomic_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from zkinfer.circuits.digest import Digest


Progress = Callable[[float], None]
"""Callback that receives the fraction done, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class SetupReport:
    """The result for a file that passed the full structural check; `sha256` covers exactly the bytes checked."""

    ceremony: str
    k: int
    sha256: Digest
    tau_g2: bytes
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrustedSetup:
    """A checked setup file and the ceremony it comes from.

    Args:
        ceremony: the ceremony's name, for instance `perpetual-powers-of-tau`, or `insecure-dev`.
        k: the file holds 2^k powers and serves circuits of up to that size.
        path: the file.
        sha256: the digest of its content.
        tau_g2: tau times the generator of G2, in the encoding of `Ceremony.tau_g2`.
    """

    ceremony: str
    k: int
    path: Path
    sha256: Digest
    tau_g2: bytes

    @property
    def is_insecure_dev(self) -> bool:
        """Whether anyone can forge proofs made with it."""
        return self.ceremony == INSECURE_DEV

    @property
    def identity(self) -> dict[str, str]:
        """The part that a proof depends on, as JSON: equal for every k and every file of a ceremony."""
        return {"ceremony": self.ceremony, "tauG2": f"sha256:{hashlib.sha256(self.tau_g2).hexdigest()}"}


INSECURE_DEV = "insecure-dev"
PERPETUAL_POWERS_OF_TAU = "perpetual-powers-of-tau"
HERMEZ = "hermez"

_BUCKET = "https://trusted-setup-halo2kzg.s3.eu-central-1.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Ceremony:
    """One tau and the sources of its files.

    Args:
        name: as in manifests and attestations.
        title: one line to display.
        tau_g2: tau times the generator of G2, affine, in 128 bytes as EIP-197 writes it: x imaginary, x real,
            y imaginary, y real, each 32 bytes big-endian, not in Montgomery form.
        files: the known sha256 digests (hex) of files of 2^k powers, by k. Other files must pass the full check.
        url_template: URL of a file, with `{k}` as a placeholder; None if the ceremony is not published.
    """

    name: str
    title: str
    tau_g2: bytes
    files: Mapping[int, str]
    url_template: str | None


def by_name(name: str) -> Ceremony:
    """The ceremony of that name; raises SetupError for any other."""
    for ceremony in CEREMONIES:
        if ceremony.name == name:
            return ceremony
    raise SetupError(f"The ceremony {name[:80]!r} is unknown.", f"Use one of {names()}.")


def with_tau_g2(tau_g2: bytes) -> Ceremony | None:
    """The ceremony with that tau*G2, or None."""
    return next((ceremony for ceremony in CEREMONIES if ceremony.tau_g2 == tau_g2), None)


def with_digest(sha256_hex: str) -> tuple[Ceremony, int] | None:
    """The ceremony and the k of the file with that sha256, or None."""
    for ceremony in CEREMONIES:
        for k, digest in ceremony.files.items():
            if digest == sha256_hex:
                return ceremony, k
    return None


def rank(name: str) -> int | None:
    """The position of a ceremony in the order of preference, from 0; None for an unknown name."""
    return next((index for index, ceremony in enumerate(CEREMONIES) if ceremony.name == name), None)


def real_names() -> tuple[str, ...]:
    """The names of all ceremonies except `insecure-dev`."""
    return tuple(ceremony.name for ceremony in CEREMONIES if ceremony.name != INSECURE_DEV)


def names() -> str:
    """All names as a list for messages."""
    return ", ".join(ceremony.name for ceremony in CEREMONIES)


CEREMONIES = (
    Ceremony(
        name=PERPETUAL_POWERS_OF_TAU,
        title="Perpetual Powers of Tau, 71 contributions",
        tau_g2=bytes.fromhex(
            "186282957db913abd99f91db59fe69922e95040603ef44c0bd7aa3adeef8f5ac"
            "17944351223333f260ddc3b4af45191b856689eda9eab5cbcddbbe570ce860d2"
            "298adc7396bd3865cbf6d6df91bae406694e6d2215baa893bdeadb63052895f4"
            "297772d34bc9aa8ae56162486363ffe417b02dc7e8c207fc2cc20203e67a02ad"
        ),
        files=MappingProxyType(
            {
                1: "cafb2aa72c200ddc4e28aacabb8066e829207e2484b8d17059a566232f8a297b",
                2: "8194ec51da5d332d2e17283ade34920644774452c2fadf33742e8c739e275d8e",
                3: "0729e815bce2ac4dfad7819982c6479c3b22c32b71f64dca05e8fdd90e8535ef",
                4: "2c0785da20217fcafd3b12cc363a95eb2529037cc8a9bddf8fb15025cbc8cdc9",
                5: "5b950e3b76e7a9923d69f6d6585ce6b5f9458e5ec57a71c9de5005d32d544692",
                6: "85030b2924111fc60acaf4fb8a7bad89531fbe0271aeab0c21e545f71eee273d",
                7: "e65f95150519fe01c2bedf8f832f5249822ef84c9c017307419e10374ff9eeb1",
                8: "446092fd1d6030e5bb2f2a8368267d5ed0fbdb6a766f6c5e4a4841827ad3106f",
                9: "493d088951882ad81af11e08c791a38a37c0ffff14578cf2c7fb9b7bca654d8b",
                10: "9705d450e5dfd06adb673705f7bc34418ec86339203198beceb2ae7f1ffefedb",
                11: "257fa566ed9bc0767d3e63e92b5e966829fa3347d320a32055dc31ee7d33f8a4",
                12: "28b151069f41abc121baa6d2eaa8f9e4c4d8326ddbefee2bd9c0776b80ac6fad",
                13: "d5d94bb25bdc024f649213593027d861042ee807cafd94b49b54f1663f8f267d",
                14: "c09129f064c08ecb07ea3689a2247dcc177de6837e7d2f5f946e30453abbccef",
                15: "90807800a1c3b248a452e1732c45ee5099f38b737356f5542c0584ec9c3ebb45",
                16: "2a1a494630e71bc026dd5c0eab4c1b9a5dbc656228c1f0d48f5dbd3909b161d3",
                17: "41509f380362a8d14401c5ae92073154922fe23e45459ce6f696f58607655db7",
                18: "d0148475717a2ba269784a178cb0ab617bc77f16c58d4a3cbdfe785b591c7034",
                19: "d1a1655b4366a766d1578beb257849a92bf91cb1358c1a2c37ab180c5d3a204d",
                20: "54ef75911da76d7a6b7ea341998aaf66cb06c679c53e0a88a4fe070dd3add963",
                21: "486e044cf98704e07f41137d2b89698dc03d1fbf34d13b60902fea19a6013b4b",
                22: "1ee9b4396db3e4e2516ac5016626ab6ba967f091d5d23afbdb7df122a0bb9d0c",
                23: "748e48b9b6d06f9c82d26bf551d0af43ee2e801e4be56d7ccb20312e267fd1d6",
                24: "f94fa4afa2f5147680f907d4dd96a8826206c26bd3328cd379feaed614b234de",
                25: "dec49a69893fbcd66cd06296b2d936a6aceb431c130b2e52675fe4274b504f57",
                26: "b198a51d48b88181508d8e4ea9dea39db285e4585663b29b7e4ded0c22a94875",
            }
        ),
        url_template=f"{_BUCKET}/perpetual-powers-of-tau-raw-{{k}}",
    ),
    Ceremony(
        name=HERMEZ,
        title="Hermez (Polygon) phase 1: Perpetual Powers of Tau, 54 contributions and a beacon",
        tau_g2=bytes.fromhex(
            "26186a2d65ee4d2f9c9a5b91f86597d35f192cd120caf7e935d8443d1938e23d"
            "30441fd1b5d3370482c42152a8899027716989a6996c2535bc9f7fee8aaef79e"
            "1970ea81dd6992adfbc571effb03503adbbb6a857f578403c6c40e22d65b3c02"
            "054793348f12c0cf5622c340573cb277586319de359ab9389778f689786b1e48"
        ),
        files=MappingProxyType(
            {
                11: "c8edbefe1562c50ea105f79d9d49989bcfbf1e6a335b3858d44260e71972b8ee",
            }
        ),
        url_template=f"{_BUCKET}/hermez-raw-{{k}}",
    ),
    Ceremony(
        name=INSECURE_DEV,
        title="Insecure: tau is public, so anyone can forge proofs. Not for production",
        tau_g2=bytes.fromhex(
            "0faf2e9b98426d0b00469717560b62557c901f35e44d216769ec7eccd6020fad"
            "11f7cee74bd70c9ed2b6edeaa179fcb220ffcd3e725373f39d97b4e9d7eb1f82"
            "1bc189130b1c7497e6001b7c8f5edee70b7bf243aaf86369c6d66e51ead90acf"
            "130ec860c158a2709d9d6d26bcbd8de598354f04dd63baacee4001c8f73ce68e"
        ),
        files=MappingProxyType(
            {
                1: "379b5d28fa534b84a85dc78f1949b678b5a9aac8ce317b1c70536c0b07962c76",
                2: "1d2f48cc96b7e374f90704e3d885e0be75f2ab0b1051368371fdf0b1f9a18977",
                3: "76de24d16211325dd0c0abcba5ba50d8d7194a458daa5ae89e62fb7bb4dc5a02",
                4: "09c02c89246bea1ac8601c52941939ae124dd76de971c2464f560381e8bbac23",
                5: "82ab3527c4e12985c31c839c2483571ce68bd1ae9a2936d53c3f36630c68ad81",
                6: "6b8bf9f544da814c9d83f3b241f47f8f2b1644187b7cdb1d461c642222331727",
                7: "c3dc21da2af4340324e2a34e5f23eca4e6442b2c930454652f4702495837a62f",
                8: "499052f330e788ff4399328715cdddd45fa99b4283e1a2d090fc08f5e4ac632b",
                9: "edba76c3efdf499e0721c44be844403dada9dacc81b031482021b16f83c44aa0",
                10: "4d33ce340e7f14cc8dfa7a09d0d0593162cf00de998f4f240672b567682be45d",
                11: "a405394715fee433940f19f3d52b2955e759ad6b022f1cd83a6ea1eaec2bd910",
                12: "d45a4cf290a6d386e3e2947f7053e870d0e506c58e7975792cbf99004e4a6096",
                13: "82858e5f888aeee19edd16c5fc64fdae6e5b85ba29b1633740a4c553250fc033",
                14: "da2498e916d8902de1a5873476c51762449b09c108923eb11fc2b89de72dd4f4",
                15: "f8406abc23b2a1197459fbbfb4cfb293cff0dedbb89ede6785e76d89cf5b310a",
                16: "d16a6b26124a3aae7919a478a62043e18074248d9abb14f6bb84b9fc6dee4a25",
                17: "ebbbf731ebb83fbf2eac86f2f60d4d0c3a2ce5d242ada515d470dad964053efd",
                18: "b51e9584b79850a52d600c6bb5cd98933b12a033d43552b9d1cca50aec546524",
            }
        ),
        url_template=None,
    ),
)
"""The known ceremonies in the order of preference."""


MAX_DEV_LOG_ROWS = 18
"""The largest size generated on demand, in a minute; larger ones would take minutes to hours."""
LABEL = "zkinfer insecure-dev trusted setup, version 1: tau is public, so anybody can forge proofs"
TAU = int.from_bytes(hashlib.sha256(LABEL.encode()).digest(), "big") % ORDER
"""The toxic waste of the setup, public by design."""


def generate_insecure_dev(k: int, path: Path, progress: Progress | None = None) -> None:
    """Write the `insecure-dev` setup of 2^k powers to `path` atomically; an existing file is replaced.

    Args:
        k: 1 to 26; the time doubles with each step (seconds at 15, minutes from 20 on).
        path: the destination; its folder must exist.
        progress: called with the fraction done, from 0 to 1.

    Raises:
        SetupError: k is out of range, or the file cannot be written.
    """
    require_k(k)
    table = FixedBase(GENERATOR, _window(k))
    with atomic_file(path) as file:
        file.write(k.to_bytes(4, "little"))
        done = 0
        for scalars in chain(_geometric(k, TAU), _lagrange(k)):
            file.write(encode_g1(table.multiply_all(scalars)))
            done += len(scalars)
            if progress is not None:
                progress(done / (2 << k))
        file.write(encode_g2(generator_g2()) + encode_g2(multiply_g2(TAU)))


def _lagrange(k: int) -> Iterator[list[int]]:
    """l_i(tau) = (w^i / n) (tau^n - 1) / (tau - w^i), in batches."""
    size = 1 << k
    scale = (pow(TAU, size, ORDER) - 1) * pow(size, -1, ORDER) % ORDER
    for roots in _geometric(k, domain_root(k)):
        inverses = invert_all([TAU - root for root in roots], ORDER)
        yield [root * scale * inverse % ORDER for root, inverse in zip(roots, inverses, strict=True)]


def _geometric(k: int, base: int) -> Iterator[list[int]]:
    """The powers base^0 .. base^(2^k - 1), in batches."""
    power = 1
    for first in range(0, 1 << k, BATCH):
        batch = []
        for _ in range(first, min(first + BATCH, 1 << k)):
            batch.append(power)
            power = power * base % ORDER
        yield batch


def _window(k: int) -> int:
    """Bits per digit that balance the size of the table with the additions it saves."""
    return min(14, max(3, k - 2))
