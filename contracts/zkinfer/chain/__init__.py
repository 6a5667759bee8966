"""Registrations, requests and answers for the contracts, from circuits, request files and attestations."""

from zkinfer.chain.requests import (
    Answer,
    PlacedRequest,
    answer_of,
    context_of,
    read_request,
    registration_of,
    request_for,
    require_answer,
)

__all__ = [
    "Answer",
    "PlacedRequest",
    "answer_of",
    "context_of",
    "read_request",
    "registration_of",
    "request_for",
    "require_answer",
]
