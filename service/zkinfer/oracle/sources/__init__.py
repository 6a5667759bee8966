"""Where a feed's numbers come from: a JSON document over HTTP or in a file, or another feed on a chain."""
