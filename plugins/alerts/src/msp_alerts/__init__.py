"""Alerts: opened by problems, resolved by recovery, acknowledged by people."""
