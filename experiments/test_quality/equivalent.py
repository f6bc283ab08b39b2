"""Changes that no test could notice, with the reason: they compute the same."""

EQUIVALENT: dict[tuple[str, str, str], str] = {}
