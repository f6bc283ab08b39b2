"""What a denoiser looked at when it changed a region, and whether the map deserves belief.

Names are loaded on first use: importing this package does not import PyTorch.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "archive": ["write_archive"],
        "attention": ["AttentionFinding", "attention_finding"],
        "critic": ["CriticOfHu", "critic_of"],
        "detectability": ["detectability_template"],
        "attribution": [
            "integrated_gradients",
            "local_attribution",
            "local_mean",
            "occlusion",
        ],
        "audit": ["AuditPlan", "Limits", "audit_map", "diffusion_index", "input_gradient"],
        "change": ["ChangeWithRisk", "change_with_risk"],
        "cam": ["CAM_METHODS", "cam_map", "library_cam_map"],
        "explanation": [
            "Explanation",
            "explain_region",
            "load_explanation",
            "picture",
            "write_explanation",
        ],
        "jacobian": [
            "JacobianRow",
            "divergence",
            "jacobian_row",
            "jacobian_times",
            "sure_hu2",
        ],
        "methods": ["METHODS"],
        "plants": ["KINDS", "Plant", "nodule_profile", "plant"],
        "regions": ["Region", "region_mask", "region_of_click", "region_of_nodule"],
        "study": ["DEFAULT_METHODS", "STUDY_METHODS", "study_methods"],
        "subject": ["Subject"],
        "targets": ["TARGETS", "RegionTarget", "make_target"],
        "usefulness": ["detectors", "usefulness"],
        "torchvision_ops": ["import_with_torchvision", "torchvision_imports"],
    },
)
