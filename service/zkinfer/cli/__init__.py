"""The `zkinfer` command."""
