"""Train an unpaired OT-CycleGAN for low-dose CT, and denoise with it.

Names are loaded on first use: importing this package does not import PyTorch.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "train.monitor": ["RaisedWarning", "raised_warnings"],
        "train.checkpoint": ["Checkpoint", "HuDenoiser", "load_checkpoint", "save_checkpoint"],
        "config": ["TrainConfig"],
        "data.domains": ["Domains", "build_domains"],
        "models.fbp_noise": ["measure_noise_curve", "with_noise_curve"],
        "models.spectral_noise": ["measure_noise_spectrum", "with_measured_noise"],
        "inference": ["Applicability", "applicability", "denoise_slices", "denoise_volume"],
        "data.patches": ["PatchDomain"],
        "train.state": ["TrainState"],
        "train.fine_tune": ["resume_shipped", "shipped_domains"],
        "train.run": ["RunResult", "train_run"],
        "data.split": ["Slab", "split_series"],
        "train.devices": ["make_fabric"],
        "train.loop": ["train"],
    },
)
