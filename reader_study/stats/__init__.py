"""Reader-study statistics as pure functions on tables; every number has an oracle in the tests.

Functions named like their module are imported from it, as in
``from reader_study.stats.roc.mrmc import mrmc``.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "agreement.coefficients": ["agreement_coefficient", "krippendorff_alpha", "saturation"],
        "conduct.bang_index": ["bang_index"],
        "paired.bradley_terry": ["davidson", "lapse_rate", "randomisation_test", "transitivity"],
        "paired.clustered": ["clustered_mcnemar", "clustered_signed_rank"],
        "ordinal.vgc": ["vgc", "vgc_curve", "visual_grading_regression"],
        "agreement.mrmc_limits": ["limits_of_agreement"],
        "agreement.icc": ["kendall_w", "kendall_w_interval"],
        "agreement.kappa": [
            "bland_altman",
            "cohen_kappa",
            "fleiss_by_category",
            "repeat_agreement",
        ],
        "roc.ai_versus_readers": ["AiVersusReaders", "ai_versus_readers"],
        "roc.obuchowski_rockette": ["Mrmc", "obuchowski_rockette"],
        "roc.binormal": ["fit_binormal"],
        "roc.contaminated": ["fit_contaminated"],
        "roc.proper": ["fit_proper"],
        "paired.crossed_mean": ["CrossedMean", "crossed_mean"],
        "free_response.froc": ["froc_curve", "froc_figures", "radius_sensitivity"],
        "free_response.match_marks": ["match_marks"],
        "roc.mrmc": [
            "binormal_area",
            "contaminated_area",
            "correct_at",
            "equivalence",
            "expected_utility",
            "noninferiority",
            "partial_area",
            "proper_binormal_area",
            "recall_at",
            "sensitivity_at",
            "specificity_at",
        ],
        "ordinal.clm": ["OrdinalFit", "clm", "clmm"],
        "ordinal.inference": ["contrast", "likelihood_ratio", "predict", "proportional_odds_check"],
        "paired.signed_rank": ["SignedRank", "friedman", "hodges_lehmann", "signed_rank"],
        "paired.preference_share": [
            "PooledShare",
            "pooled_share",
            "position_effect",
            "share_per_reader",
            "trials_from_ratings",
        ],
        "proportions": ["clopper_pearson"],
        "conduct.order_effects": [
            "first_seen_effect",
            "missing_counts",
            "position_trend",
            "session_effect",
            "speeding",
        ],
        "free_response.map_froc": ["adjudicated_marks", "froc_score", "map_froc"],
        "free_response.maps": ["map_at_marks", "map_peaks", "rank_agreement", "score_maps"],
        "conduct.multiplicity": ["fixed_sequence", "gatekeeping", "holm"],
        "power.closed_form": [
            "OrComponents",
            "components_of",
            "or_power",
            "power_curve",
            "smallest_cases",
            "smallest_design",
        ],
        "power.panel": ["PanelComponents", "design_effect", "lesions_for_share", "panel_power"],
        "power.roe_metz_components": ["components_of_model", "model_of_components"],
        "ordinal.profile_likelihood": ["profile_interval"],
        "conduct.reading_time": ["geometric_means", "time_ratio", "time_ratios"],
        "roc.curve": ["delong_test", "empirical_auc", "partial_auc", "roc_curve", "youden_point"],
        "roc.roe_metz": ["RoeMetz", "simulate_roc"],
        "power.simulated": ["simulated_power"],
        "tables": ["check_table"],
    },
)
