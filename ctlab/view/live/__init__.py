"""The viewer with a network behind it that answers now: in the page, or in a notebook's kernel."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "gantry": ["Gantry"],
        "sand": ["SandHeaps"],
        "scene": ["Answer", "Scene", "ask", "compose"],
        "toy": ["ToyGan"],
        "viewer": ["LiveViewer", "live_viewer"],
    },
)
