"""The search for ezkl's run arguments."""
