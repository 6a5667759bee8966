"""Feeds: results of circuits, signed and proven round by round, on any number of chains. Needs the extra `oracle`."""
