"""The shop's API on FastAPI."""
