"""Registrations, requests and answers for the contracts, from circuits, request files and attestations."""

from zkinfer.chain.request_file import PlacedRequest, read_request
from zkinfer.chain.requests import Answer, answer_of, context_of, registration_of, request_for, require_answer

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
