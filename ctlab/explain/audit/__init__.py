"""Whether a map deserves belief: audits, planted failures, comparison of methods."""
