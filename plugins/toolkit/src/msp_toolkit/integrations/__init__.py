"""Other systems, synchronously."""
