"""Free-response reading: FROC figures, matching of marks, heat maps."""
