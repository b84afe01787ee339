"""Processor use against limits with recovery levels."""
