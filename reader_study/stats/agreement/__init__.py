"""Agreement between readers and within them."""
