"""Secrets in an encrypted file: Argon2id and ChaCha20-Poly1305."""
