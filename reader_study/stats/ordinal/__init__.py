"""Ordinal ratings: cumulative link models and visual grading."""
