"""Gives runbooks to people and to agents."""
