"""Public collections and the packaged sample: folders, download, confounders."""
