"""The ``ctlab`` command line, one module a subject; ``ctlab.__main__`` puts them together."""
