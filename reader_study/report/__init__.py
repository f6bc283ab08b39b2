"""The report of an analysed study: one HTML page, one Markdown page, an R script and its data."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "chapters": ["write_chapters"],
        "page": ["read_analysis", "write_report"],
        "rscript": ["r_script"],
        "signature": ["Signature", "read_signature"],
    },
)
