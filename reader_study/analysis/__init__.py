"""From an unblinded record to results and tables."""
