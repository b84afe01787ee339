"""Reads how long this machine has been up, and judges it."""
