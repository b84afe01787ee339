"""Wakes machines over the network."""
