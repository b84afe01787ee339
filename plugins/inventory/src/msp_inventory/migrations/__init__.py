"""The tables of the inventory, as numbered steps."""
