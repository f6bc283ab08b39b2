"""Paired ratings and preferences."""
