"""The server: immediate inference, proofs as long-running operations. Needs the extra `serve`."""
