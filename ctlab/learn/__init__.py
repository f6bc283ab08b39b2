"""Train an unpaired OT-CycleGAN for low-dose CT, and denoise with it.

Names are loaded on first use: importing this package does not import PyTorch.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "alarms": ["Alarm", "find_alarms"],
        "checkpoint": ["Checkpoint", "HuDenoiser", "load_checkpoint", "save_checkpoint"],
        "config": ["TrainConfig"],
        "domains": ["Domains", "build_domains"],
        "fbp_noise": ["measure_noise_curve", "with_noise_curve"],
        "inference": ["Applicability", "applicability", "denoise_slices", "denoise_volume"],
        "patches": ["PatchDomain"],
        "players": ["TrainState"],
        "resume": ["resume_shipped", "shipped_domains"],
        "run": ["RunResult", "train_run"],
        "split": ["Slab", "split_series"],
        "training": ["make_fabric", "train"],
    },
)
