"""The database of MSP Toolkit; other plugins use `msp_store.api` only."""
