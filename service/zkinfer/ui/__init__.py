"""The page: verify an attestation, try a demonstration, browse a server, in a browser. Needs the extra `ui`."""
