"""Blinded reader studies of CT images: protocol, allocation, reading room, statistics.

Importing this package only defines names; a reader's computer needs no torch.
"""
