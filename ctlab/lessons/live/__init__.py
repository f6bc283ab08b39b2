"""The living network of the chapters: its figure, its networks, and a process that answers."""
