"""Errors of feeds and of their daemon; `zkinfer.circuits.errors` has the root of the tree."""

from zkinfer.circuits.errors import InputError, ZkinferError


class FeedsFileError(InputError):
    """The file that configures the daemon cannot be read, or a setting in it is unknown, missing or unsafe."""


class OracleError(ZkinferError):
    """A feed cannot do what was asked of it."""


class RoundStateError(OracleError):
    """A round or a delivery is not in a state that permits the change."""


class UnknownFeedError(OracleError):
    """This daemon does not serve the feed."""


class NoReportError(OracleError):
    """There is no report for this feed at that time."""


class VoteError(OracleError):
    """A peer's request is not signed here: its sender, its round or its inputs are not acceptable."""


class PeerError(OracleError):
    """A peer did not answer, or its answer is no signature of this report."""


class RecipeError(InputError):
    """A recipe or a specification of a feed is malformed, or does not fit the circuit."""


class SourceError(OracleError):
    """A source did not answer, or what it holds is refused: too few numbers, out of bounds, or of another form."""


class AuditError(OracleError):
    """A round does not follow from its published source by recipe and circuit."""
