"""Training data: domains, splits, patches, phantom patients, inserted nodules."""
