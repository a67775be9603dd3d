"""A generated, adversarial corpus for the redaction engine: what has to go, and what has to stay."""
