"""Reads clients and devices from a spreadsheet, as an RMM would."""
