"""Filters that need no training: NLM, total variation, bilateral and a BM3D-type filter.

They are the honest opponents of a network, and the arms of the demonstration reader study,
which must run without torch.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "filters": ["METHODS", "denoise_classic"],
        "tuning": ["Tuning", "tune"],
    },
)
