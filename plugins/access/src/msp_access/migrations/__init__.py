"""The tables of access control, as numbered steps."""
