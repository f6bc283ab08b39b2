"""What a denoiser looked at when it changed a region, and whether the map deserves belief.

Names are loaded on first use: importing this package does not import PyTorch.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "black_box": ["explain_black_box", "finite_row", "occlusion_map", "rise_map"],
        "dicom_export": ["write_archive", "write_parametric_map"],
        "probe.critic": ["CriticOfHu", "critic_of"],
        "maps.detectability": ["detectability_template"],
        "maps.attribution": [
            "integrated_gradients",
            "local_attribution",
            "local_mean",
            "occlusion",
        ],
        "audit.restoration_metrics": ["MapUnderTest", "assess_map", "smooth_grad"],
        "audit.audit_map": [
            "AuditPlan",
            "Limits",
            "audit_map",
            "diffusion_index",
        ],
        "maps.change": ["ChangeWithRisk", "change_with_risk"],
        "maps.cam": ["CAM_METHODS", "cam_map", "library_cam_map"],
        "explanation": [
            "Explanation",
            "explain_region",
            "load_explanation",
            "picture",
            "write_explanation",
        ],
        "maps.jacobian": [
            "JacobianRow",
            "divergence",
            "jacobian_row",
            "jacobian_times",
            "sure_hu2",
        ],
        "maps.gradient": ["input_gradient"],
        "maps.methods": ["METHODS"],
        "audit.synthetic_lesions": ["KINDS", "SyntheticLesion", "nodule_profile", "insert_lesion"],
        "probe.regions": ["Region", "region_mask", "region_of_click", "region_of_nodule"],
        "method_comparison": ["DEFAULT_METHODS", "STUDY_METHODS", "study_methods"],
        "probe.denoiser_probe": ["DenoiserProbe"],
        "probe.targets": ["TARGETS", "RegionTarget", "make_target"],
        "audit.failure_detection": ["detectors", "measure_failure_detection"],
        "maps.torchvision_ops": ["import_with_torchvision", "torchvision_imports"],
    },
)
