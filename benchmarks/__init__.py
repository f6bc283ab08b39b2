"""Speed and memory, beside a named peer where there is one; one JSON line each."""
