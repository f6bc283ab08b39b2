"""Forced-choice tests as pages that need no server: made for each reader, scored with the key."""
