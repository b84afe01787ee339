"""Ping, TCP, HTTP, DNS and certificate probes, and the console agent's connectivity."""
