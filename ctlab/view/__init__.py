"""The one image viewer: notebooks, the reading room and the static book show CT through it."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "alone": ["standalone"],
        "compare": ["CompareViewer", "compare"],
        "overlay": ["MapViewer", "compare_with_map"],
    },
)
