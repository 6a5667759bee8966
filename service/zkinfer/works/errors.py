"""Errors of works; `zkinfer.circuits.errors` has the root of the tree."""

from zkinfer.circuits.errors import InputError, ZkinferError


class ContentError(InputError):
    """A file is no picture that can be decoded, or exceeds the caps of pictures."""


class CodeError(InputError):
    """A text is no ISCC Image-Code of 64 or 256 bits."""


class TermsError(InputError):
    """A file of terms is malformed, or contradicts itself."""


class WorkError(ZkinferError):
    """Root of what is refused about a work."""


class CertificateError(WorkError):
    """A certificate is malformed, its signature is invalid, or it is of another file."""


class CredentialsError(WorkError):
    """C2PA credentials cannot be made or read, or the certificate for signing them is unsuitable."""


class DatasetError(InputError):
    """A data set or its table of contributors is malformed, or does not have what was asked for."""


class ConsentError(WorkError):
    """Files do not allow what is to be done with them; the message names them."""


class DirectoryError(WorkError):
    """The directory of works is empty, or of another chain or contract."""


class NotIndexedError(WorkError):
    """The directory has no work, or no manifest store, with this id."""


class QueryError(InputError):
    """A question to the directory of works is malformed."""
