"""Services expected to run, and services that failed."""
