"""The reading room behind Voila: a kernel for each reader."""
