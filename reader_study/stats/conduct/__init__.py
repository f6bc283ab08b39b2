"""Conduct of a study: blinding, order, time, multiplicity."""
