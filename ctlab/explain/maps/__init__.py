"""The maps themselves: what is explained, where, and by which method."""
