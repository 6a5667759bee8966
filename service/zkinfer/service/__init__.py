"""The server: inference at once, proofs as long-running operations. Needs the extra `serve`."""
