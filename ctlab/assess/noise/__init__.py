"""Noise: power spectra, local level, texture by tissue and along z."""
