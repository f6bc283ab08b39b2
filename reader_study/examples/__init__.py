"""A new study's files, and the demonstration study."""
