"""Steps that build the tables of health, in order."""
