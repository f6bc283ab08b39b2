"""What a denoiser looked at when it changed a region, and whether the map deserves belief.

Names are loaded on first use: importing this package does not import PyTorch.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "audit": ["AuditPlan", "Limits", "audit_map"],
        "cam": ["CAM_METHODS", "cam_map", "library_cam_map"],
        "explanation": [
            "METHODS",
            "Explanation",
            "explain_region",
            "load_explanation",
            "picture",
            "write_explanation",
        ],
        "overlay": ["overlay_rgb", "signed_colours"],
        "regions": ["region_mask"],
        "subject": ["Subject"],
        "targets": ["TARGETS", "make_target"],
        "torchvision_ops": ["import_with_torchvision", "torchvision_imports"],
    },
)
