"""Sample size, and a pilot with model observers."""
