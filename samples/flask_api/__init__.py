"""The shop's API on Flask."""
