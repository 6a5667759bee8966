"""What an auditor trusts: their own copies of models and trusted setups, and the engines they run."""

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
"""What is accepted unless the auditor says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """The root of a verification. Everything else comes from the attestation and is a claim.

    Args:
        models: the auditor's own ONNX files, by digest.
        setups: the auditor's own trusted setups.
        cache: where rebuilt circuits are kept; nobody else may write there.
        engines: by id. One that proves nothing is refused even if it is named here.
        ceremonies: names of the accepted ceremonies. `insecure-dev` is accepted by a policy, never here.
        unsafe_accept_fake_engine: accept engines that prove nothing, for tests.
    """

    models: Mapping[Digest, Path]
    setups: SetupStore
    cache: Path
    engines: Mapping[str, Engine]
    ceremonies: frozenset[str]
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
        """Trust these files, and unless told otherwise all production engines and all real ceremonies.

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
        """The engine of that id; raises UntrustedEngineError if it is not accepted."""
        engine = self.engines.get(name)
        if engine is None:
            known = ", ".join(sorted(self.engines)) or "none"
            raise UntrustedEngineError(
                f"The proof was made with the engine {name}; this verifier has {known}.",
                "Verify with the version of zkinfer that made it.",
            )
        if not engine.production and not self.unsafe_accept_fake_engine:
            raise UntrustedEngineError(f"The engine {name} proves nothing: anybody can make its proofs.")
        return engine

    def setup(self, claimed: SetupIdentity, log_rows: int) -> TrustedSetup:
        """The auditor's own file of the claimed setup.

        The caller has made sure that `insecure-dev` is allowed where it is claimed.

        Raises:
            UntrustedSetupError: another ceremony than the accepted ones, or another tau than that ceremony's.
            SetupError: the auditor lacks the file.
        """
        if not claimed.is_insecure_dev and claimed.ceremony not in self.ceremonies:
            accepted = ", ".join(sorted(self.ceremonies)) or "none"
            raise UntrustedSetupError(
                f"The trusted setup {claimed.ceremony} is not accepted; accepted are {accepted}.",
                "Whoever ran an unknown ceremony may be able to forge proofs.",
            )
        _refuse_other_tau(claimed)
        if claimed.is_insecure_dev and log_rows > MAX_DEV_LOG_ROWS:
            raise SetupError(f"An insecure-dev setup of 2^{log_rows} powers would take too long to make.")
        return self.setups.serving(max(1, log_rows), claimed.ceremony)

    def model(self, digest: str) -> Path:
        """The ONNX file of that digest; raises UnknownModelError if the auditor gave none."""
        path = self.models.get(Digest.parse(digest))
        if path is None:
            given = ", ".join(sorted(str(known) for known in self.models)) or "none"
            raise UnknownModelError(
                f"The attestation is about the ONNX file {digest}; given: {given}.",
                "Give the file itself; one byte of difference makes another model.",
            )
        return path


def _production_engines() -> Mapping[str, Engine]:
    from zkinfer.circuits.engines import production_engines  # noqa: PLC0415 - an auditor may hand over their own

    return production_engines(Limits.for_verifying())


def _refuse_other_tau(claimed: SetupIdentity) -> None:
    pinned = [str(sha256(ceremony.tau_g2)) for ceremony in CEREMONIES if ceremony.name == claimed.ceremony]
    if pinned != [claimed.tau_g2]:
        raise UntrustedSetupError(
            f"The attestation names the trusted setup {claimed.ceremony}, but another tau*G2 than that ceremony's.",
            "It was altered, or the setup was made by somebody else.",
        )
