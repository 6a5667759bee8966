"""The client: answers at once, attestations that were verified here. Needs the extra `client`."""
