"""Render, check for leaks, lock, seal, amend and unblind."""
