"""Simulated dose and test objects: scanner, projector, noise, phantoms, lesions."""
