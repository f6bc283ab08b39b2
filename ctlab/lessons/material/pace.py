"""Quick builds: with ``CTLAB_FAST=1`` a chapter does less of what takes long."""

import os


def is_fast() -> bool:
    """Whether ``CTLAB_FAST`` asks for a quick build; unset, empty, 0, no and false do not."""
    return os.environ.get("CTLAB_FAST", "").strip().lower() not in ("", "0", "no", "false")


def pace(full: int, fast: int) -> int:
    """How often to do what takes long: ``full`` times, or ``fast`` times in a quick build."""
    return fast if is_fast() else full
