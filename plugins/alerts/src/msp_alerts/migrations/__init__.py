"""Steps that build the tables of alerts, in order."""
