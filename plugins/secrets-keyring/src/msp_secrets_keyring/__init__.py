"""Secrets in the keyring of the operating system."""
