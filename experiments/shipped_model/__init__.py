"""Training and measuring the shipped model."""
