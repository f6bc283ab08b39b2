"""The command line of reader studies."""
