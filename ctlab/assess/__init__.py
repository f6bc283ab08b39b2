"""Image quality, and the risk of being fooled by it.

Names are loaded on first use: reading a table does not wait for a compiler.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "applicability": [
            "Applicability",
            "check_applicability",
        ],
        "channels": ["difference_of_gaussians", "eye_filter", "gabor", "laguerre_gauss"],
        "detectability": [
            "NODULE_TASKS",
            "LesionTask",
            "contrast_recovery",
            "detectability_table",
            "false_lesion_rate",
            "lesion_amplitude_hu",
        ],
        "dose_equivalence": ["equivalent_dose"],
        "fooled": [
            "GALLERY",
            "Exhibit",
            "invented_nodule",
            "swinging_psnr",
            "vanished_nodule",
            "wrong_texture",
        ],
        "hidden": ["HiddenExhibit", "hidden_exhibit", "hidden_information"],
        "ideal": ["Ceiling", "ideal_d_prime", "information_ceiling"],
        "local_noise": ["local_noise_hu"],
        "metrics": [
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
        "noise": ["Nps", "noise_map", "nps", "nps_distance", "nps_of_difference"],
        "notice": ["what_notices"],
        "observer": ["Observation", "auc_difference", "cho", "npw_e"],
        "residual": ["coherence", "residual_test"],
        "resolution": ["Transfer", "mtf_edge", "task_transfer", "task_transfer_table"],
        "ring": ["RingAgreement", "frc", "scan_frc"],
        "risk": [
            "RiskLimit",
            "calibrate_risk",
            "check_coverage",
            "loss_curve",
            "patients_needed",
            "risk_maps",
        ],
        "risk_scores": ["compare_scores", "score_auc", "spread_hu"],
        "roc": ["area_under_roc", "auc_to_d_prime", "d_prime_to_auc"],
        "series_noise": ["find_rois", "nps_by_tissue", "z_banding_hu", "z_correlation"],
        "tables": [
            "MIN_PATIENTS",
            "check_same_grid",
            "compare_arms",
            "evaluate_volume",
            "holm",
            "summarise",
            "write_table",
        ],
        "tissue": ["TISSUES_HU", "tissue_masks"],
        "visibility": [
            "amplitude_noise_hu",
            "confirm_visibility",
            "finite_jvp",
            "grid_positions",
            "screen_visibility",
            "visibility_image",
        ],
    },
)
