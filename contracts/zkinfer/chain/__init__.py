"""Between circuits and contracts: what to register, to ask and to post, from the files that people have."""

from zkinfer.chain.answers import Answer, answer_of, context_of, registration_of, request_for, require_answer
from zkinfer.chain.requestfile import PlacedRequest, read_request

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
