"""Networks: denoisers, critics, degradation and its noise."""
