"""Error rates of the reader-study statistics on simulated null studies."""
