"""What hosts and transports have in common; other plugins use `msp_hosts.api` only."""
