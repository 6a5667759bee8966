"""Between circuits and contracts: what to register, to ask and to post, from the files that people have."""

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
