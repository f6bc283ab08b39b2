"""Ours beside a named peer, in one process, in turn; one JSON line each."""
