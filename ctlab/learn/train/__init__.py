"""Training: losses, step, loop, monitor, checkpoints, devices."""
