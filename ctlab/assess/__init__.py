"""Image quality, and the failures that image quality hides.

Names are loaded on first use: reading a table does not wait for a compiler.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "safety.range_check": [
            "Applicability",
            "check_applicability",
        ],
        "detection.channels": ["difference_of_gaussians", "eye_filter", "gabor", "laguerre_gauss"],
        "detection.detectability": [
            "NODULE_TASKS",
            "LesionTask",
            "contrast_recovery",
            "detectability_table",
            "false_lesion_rate",
            "lesion_amplitude_hu",
        ],
        "detection.dose_equivalence": ["equivalent_dose"],
        "safety.failure_gallery": [
            "GALLERY",
            "Exhibit",
            "invented_nodule",
            "vanished_nodule",
            "wrong_texture",
        ],
        "safety.hidden_information": ["HiddenExhibit", "hidden_exhibit", "hidden_information"],
        "detection.ideal_observer": ["Ceiling", "ideal_d_prime", "information_ceiling"],
        "fidelity.metrics": [
            "CHEST",
            "PROTOCOL_CLIP_HU",
            "PROTOCOL_WINDOWS",
            "bias_hu",
            "gmsd",
            "mae_hu",
            "ms_ssim",
            "psnr_db",
            "rmse_hu",
            "ssim",
            "vif",
        ],
        "noise.nps": [
            "Nps",
            "local_noise_hu",
            "noise_map",
            "nps",
            "nps_distance",
            "nps_of_difference",
        ],
        "safety.failure_detection": ["checks_that_detect"],
        "detection.model_observer": ["Observation", "auc_difference", "cho", "npw_e"],
        "resolution.residual": ["coherence", "residual_test"],
        "resolution.mtf_ttf": ["Transfer", "mtf_edge", "task_transfer"],
        "resolution.fourier_ring": ["RingAgreement", "frc", "scan_frc"],
        "safety.conformal_risk": [
            "RiskLimit",
            "calibrate_risk",
            "check_coverage",
            "loss_curve",
            "patients_needed",
            "risk_maps",
        ],
        "safety.uncertainty_scores": ["compare_scores", "score_auc", "spread_hu"],
        "detection.roc": ["area_under_roc", "auc_to_d_prime", "d_prime_to_auc", "share_found"],
        "noise.nps_series": ["find_rois", "nps_by_tissue", "z_banding_hu", "z_correlation"],
        "fidelity.tables": [
            "MIN_PATIENTS",
            "check_same_grid",
            "compare_arms",
            "evaluate_volume",
            "holm",
            "summarise",
            "tissue_masks",
            "write_table",
        ],
        "detection.visibility": [
            "amplitude_noise_hu",
            "confirm_visibility",
            "finite_jvp",
            "grid_positions",
            "screen_visibility",
        ],
    },
)
