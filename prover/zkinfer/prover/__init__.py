"""The prover, the durable job queue with its workers, and the model repository."""

from zkinfer.prover.prover import Prover

__all__ = ["Prover"]
