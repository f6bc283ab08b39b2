"""Pixels of CT files: decoded into HU, on all cores, and scrubbed of what is beside the image."""
