"""Worker processes that turn jobs into attestations, and the pool that keeps them alive."""
