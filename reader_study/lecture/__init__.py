"""Lecture mode: a class answers on telephones what is on the projector; teaching, never a study."""
