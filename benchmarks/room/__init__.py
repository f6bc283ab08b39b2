"""Speed of the reading room and of lecture mode."""
