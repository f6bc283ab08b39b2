"""The one image viewer: notebooks, the reading room and the static book show CT through it."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "standalone_page": ["standalone"],
        "compare": ["CompareViewer", "compare"],
        "map_viewer": ["MapViewer", "compare_with_map"],
        "live.viewer": ["LiveViewer", "live_viewer"],
        "live.scene": ["Scene"],
    },
)
