"""The tables of the store itself, as numbered steps."""
