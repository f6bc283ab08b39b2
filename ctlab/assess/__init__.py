"""Image quality in HU and the risk of being fooled; no torch."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "noise": ["Nps", "noise_map", "nps", "nps_distance", "nps_of_difference"],
        "series_noise": ["find_rois", "nps_by_tissue", "z_banding_hu", "z_correlation"],
    },
)
