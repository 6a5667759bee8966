"""From a circuit and inputs to an attestation."""

from zkinfer.prover.prover import Prover

__all__ = ["Prover"]
