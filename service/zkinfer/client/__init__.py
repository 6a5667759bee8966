"""The client: immediate answers, and attestations verified locally. Needs the extra `client`."""

from zkinfer.client.aio import AsyncClient, AsyncHandle
from zkinfer.client.connection import Connection
from zkinfer.client.errors import CallError, ClientError, ProofFailedError, StillProvingError, UnprovenAnswerError
from zkinfer.client.models import ModelCost, ModelFidelity, ServedModel
from zkinfer.client.sync import Client, Handle
from zkinfer.client.values import Inference, Progress, VerifiedAttestation

__all__ = [
    "AsyncClient",
    "AsyncHandle",
    "CallError",
    "Client",
    "ClientError",
    "Connection",
    "Handle",
    "Inference",
    "ModelCost",
    "ModelFidelity",
    "Progress",
    "ProofFailedError",
    "ServedModel",
    "StillProvingError",
    "UnprovenAnswerError",
    "VerifiedAttestation",
]
