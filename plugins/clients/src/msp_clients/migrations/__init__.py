"""The tables of the clients, as numbered steps."""
