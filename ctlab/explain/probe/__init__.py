"""What is asked of a denoiser: its hooks, the place, and the number that is explained."""
