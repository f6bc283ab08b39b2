"""Folders in, folders out: what the commands do."""
