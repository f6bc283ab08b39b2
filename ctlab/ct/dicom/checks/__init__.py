"""Whether slices make up one volume in HU: one identity, one pass, one geometry, whole."""
