"""Resolution: edge MTF, task transfer, Fourier ring correlation, structure in the residual."""
