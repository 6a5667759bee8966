"""The auditor's trusted inputs: own copies of models and trusted setups, and installed engines."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from zkinfer.circuits.digest import Digest, sha256
from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.frontend import model_digest
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.srs import CEREMONIES, INSECURE_DEV, MAX_DEV_LOG_ROWS
from zkinfer.circuits.storage import refuse_shared
from zkinfer.verifier.errors import UnknownModelError, UntrustedEngineError, UntrustedSetupError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.recipe import SetupIdentity
    from zkinfer.circuits.srs import SetupStore, TrustedSetup

REAL_CEREMONIES = frozenset(ceremony.name for ceremony in CEREMONIES) - {INSECURE_DEV}
"""The ceremonies that are accepted by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """The trust root of a verification. Everything else comes from the attestation and is only a claim.

    Args:
        models: the auditor's own ONNX files, by digest.
        setups: the auditor's own trusted setups.
        cache: folder of rebuilt circuits; must not be writable by others.
        engines: by id. Engines without sound proofs are rejected even if listed.
        ceremonies: names of the accepted ceremonies. Only a policy can accept `insecure-dev`.
        generates_dev_setups: generate a missing `insecure-dev` setup, which takes up to half a minute; otherwise only
            stored ones are accepted.
        unsafe_accept_fake_engine: accept engines without sound proofs, for tests.
    """

    models: Mapping[Digest, Path]
    setups: SetupStore
    cache: Path
    engines: Mapping[str, Engine]
    ceremonies: frozenset[str]
    generates_dev_setups: bool = True
    unsafe_accept_fake_engine: bool = False

    @classmethod
    def of(
        cls,
        models: Iterable[Path],
        setups: SetupStore,
        cache: Path,
        engines: Mapping[str, Engine] | None = None,
        ceremonies: Iterable[str] | None = None,
        *,
        unsafe_accept_fake_engine: bool = False,
    ) -> Self:
        """Trust these files; by default with all production engines and all real ceremonies.

        Raises:
            InputError: a model cannot be read, or others can write to the cache.
        """
        refuse_shared(cache)
        return cls(
            models=MappingProxyType({model_digest(path): path for path in models}),
            setups=setups,
            cache=cache,
            engines=MappingProxyType(dict(_production_engines() if engines is None else engines)),
            ceremonies=REAL_CEREMONIES if ceremonies is None else frozenset(ceremonies) - {INSECURE_DEV},
            unsafe_accept_fake_engine=unsafe_accept_fake_engine,
        )

    def engine(self, name: str) -> Engine:
        """The engine with this id; raises UntrustedEngineError if it is not accepted."""
        engine = self.engines.get(name)
        if engine is None:
            known = ", ".join(sorted(self.engines)) or "none"
            raise UntrustedEngineError(
                f"The proof was made with the engine {name}; this verifier has {known}.",
                "Verify with the version of zkinfer that made it.",
            )
        if not engine.production and not self.unsafe_accept_fake_engine:
            raise UntrustedEngineError(f"The engine {name} is not sound: anyone can forge its proofs.")
        return engine

    def setup(self, claimed: SetupIdentity, setup_size: int) -> TrustedSetup:
        """The auditor's own copy of the claimed setup.

        The caller must check that the policy allows `insecure-dev` if that is claimed.

        Raises:
            UntrustedSetupError: the ceremony is not accepted, its tau differs, or an `insecure-dev` setup would have to
                be generated.
            SetupError: the auditor lacks the file.
        """
        self.require_ceremony(claimed.ceremony)
        _refuse_other_tau(claimed)
        if claimed.is_insecure_dev and setup_size > MAX_DEV_LOG_ROWS:
            raise SetupError(f"An insecure-dev setup of 2^{setup_size} powers would take too long to generate.")
        if claimed.is_insecure_dev and not self.generates_dev_setups:
            return self._stored_dev_setup(max(1, setup_size))
        return self.setups.find_or_generate(max(1, setup_size), claimed.ceremony)

    def require_ceremony(self, name: str) -> None:
        """Raise UntrustedSetupError if this ceremony is not accepted; `insecure-dev` is for the policy to accept."""
        if name != INSECURE_DEV and name not in self.ceremonies:
            accepted = ", ".join(sorted(self.ceremonies)) or "none"
            raise UntrustedSetupError(
                f"The trusted setup {name} is not accepted; accepted are {accepted}.",
                "The organiser of an unknown ceremony may be able to forge proofs.",
            )

    def _stored_dev_setup(self, setup_size: int) -> TrustedSetup:
        stored = self.setups.stored(INSECURE_DEV, setup_size)
        if stored is None:
            raise UntrustedSetupError(
                f"This verifier has no insecure-dev setup of 2^{setup_size} powers, and generates none.",
                "Verify with `zkinfer verify`, which generates it.",
            )
        return stored

    def model(self, digest: str) -> Path:
        """The ONNX file with this digest; raises UnknownModelError if the auditor did not supply it."""
        path = self.models.get(Digest.parse(digest))
        if path is None:
            given = ", ".join(sorted(str(known) for known in self.models)) or "none"
            raise UnknownModelError(
                f"The attestation names the ONNX file {digest}; this verifier has {given}.",
                "Give exactly that file: a single changed byte makes it a different model.",
            )
        return path


def _production_engines() -> Mapping[str, Engine]:
    from zkinfer.circuits.engines import production_engines  # noqa: PLC0415 - not needed if the auditor passes engines

    return production_engines(Limits.for_verifying())


def _refuse_other_tau(claimed: SetupIdentity) -> None:
    pinned = [str(sha256(ceremony.tau_g2)) for ceremony in CEREMONIES if ceremony.name == claimed.ceremony]
    if pinned != [claimed.tau_g2]:
        raise UntrustedSetupError(
            f"The attestation names the trusted setup {claimed.ceremony}, but its tau*G2 differs from that ceremony's.",
            "It was altered, or the setup is from another source.",
        )
