"""Works: files, their fingerprints, certificates and rights. Needs the extra `works`."""
