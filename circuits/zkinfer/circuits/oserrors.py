"""What the operating system refuses, in words."""


def why(err: OSError) -> str:
    """What the operating system said, as the end of a sentence: `permission denied`."""
    return (err.strerror or "error").lower()
