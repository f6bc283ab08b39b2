"""Forced choice among m places: d', staircases, contrast-detail curves, a reader's own noise."""
