"""One page of evidence per denoiser: every check on given series, as JSON and as a page."""

from ctlab.passport.before_after import passport_before_after
from ctlab.passport.class_table import rank_filters
from ctlab.passport.compare import (
    comparison,
    in_words,
    passports_of_folders,
    read_passports,
    side_by_side,
    volumes_of,
    write_comparison,
)
from ctlab.passport.document import (
    Passport,
    make_passport,
    passport_schema,
    read_passport,
    risk_factor_of,
    write_passport,
)
from ctlab.passport.limits import DEFAULT_LIMITS, Limit, read_limits
from ctlab.passport.probes import export_probes, find_key, import_probes
from ctlab.passport.structured_report import write_structured_report

__all__ = [
    "DEFAULT_LIMITS",
    "Limit",
    "Passport",
    "comparison",
    "export_probes",
    "find_key",
    "import_probes",
    "in_words",
    "make_passport",
    "passport_before_after",
    "passport_schema",
    "passports_of_folders",
    "rank_filters",
    "read_limits",
    "read_passport",
    "read_passports",
    "risk_factor_of",
    "side_by_side",
    "volumes_of",
    "write_comparison",
    "write_passport",
    "write_structured_report",
]
