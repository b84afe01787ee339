"""This machine: facts, device and commands."""
