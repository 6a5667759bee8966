"""Graph rewrites that hold for every engine."""
