"""Reader-study statistics as pure functions on tables; every number has an oracle in the tests.

Functions named like their module are imported from it, as in
``from reader_study.stats.mrmc import mrmc``.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "agreement": ["agreement_coefficient", "krippendorff_alpha", "saturation"],
        "blinding": ["bang_index"],
        "bradley_terry": ["davidson", "lapse_rate", "randomisation_test", "transitivity"],
        "clustered": ["clustered_mcnemar", "clustered_signed_rank"],
        "grading": ["vgc", "vgc_curve", "visual_grading_regression"],
        "icc": ["kendall_w", "kendall_w_interval"],
        "kappa": ["bland_altman", "cohen_kappa", "fleiss_by_category", "repeat_agreement"],
        "anova": ["Mrmc", "obuchowski_rockette"],
        "binormal": ["fit_binormal"],
        "crossed": ["CrossedMean", "crossed_mean"],
        "froc": ["froc_curve", "froc_figures", "radius_sensitivity"],
        "marks": ["match_marks"],
        "mrmc": [
            "binormal_area",
            "equivalence",
            "noninferiority",
            "partial_area",
            "sensitivity_at",
            "specificity_at",
        ],
        "ordinal": ["OrdinalFit", "clm", "clmm"],
        "ordinal_inference": ["contrast", "likelihood_ratio", "predict", "proportional_odds_check"],
        "paired": ["SignedRank", "friedman", "hodges_lehmann", "signed_rank"],
        "preference": [
            "PooledShare",
            "clopper_pearson",
            "pooled_share",
            "position_effect",
            "share_per_reader",
            "trials_from_ratings",
        ],
        "effects": [
            "first_seen_effect",
            "missing_counts",
            "position_trend",
            "session_effect",
            "speeding",
        ],
        "map_places": ["adjudicated_marks", "froc_score", "map_froc"],
        "maps": ["map_at_marks", "map_peaks", "rank_agreement", "score_maps"],
        "multiplicity": ["fixed_sequence", "gatekeeping", "holm"],
        "power": [
            "OrComponents",
            "components_of",
            "or_power",
            "power_curve",
            "smallest_cases",
            "smallest_design",
        ],
        "profile": ["profile_interval"],
        "reading_time": ["geometric_means", "time_ratio", "time_ratios"],
        "roc": ["delong_test", "empirical_auc", "partial_auc", "roc_curve", "youden_point"],
        "roe_metz": ["RoeMetz", "simulate_roc"],
        "simulation": ["simulated_power"],
        "tables": ["check_table"],
    },
)
