"""Finds services that must not run on a client's machine."""
