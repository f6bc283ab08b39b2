"""Words and numbers that identify somebody, and where else they stand."""
