"""One page of evidence per checkpoint: every check on given series, as JSON and as a page."""

from ctlab.passport.document import (
    Passport,
    compare_passports,
    make_passport,
    passport_of_folders,
    read_passport,
    write_passport,
)
from ctlab.passport.limits import DEFAULT_LIMITS, Limit, read_limits

__all__ = [
    "DEFAULT_LIMITS",
    "Limit",
    "Passport",
    "compare_passports",
    "make_passport",
    "passport_of_folders",
    "read_limits",
    "read_passport",
    "write_passport",
]
