"""Whether a map deserves belief: audits, synthetic lesions, comparison of methods."""
