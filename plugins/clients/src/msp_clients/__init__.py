"""Clients of the MSP: create, find, change, import and export them."""
