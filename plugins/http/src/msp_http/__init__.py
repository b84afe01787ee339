"""HTTP for adapters: one place for retries, limits, tokens, errors and redaction."""
