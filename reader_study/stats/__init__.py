"""Reader-study statistics as pure functions on tables; every number has an oracle in the tests."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "crossed": ["CrossedMean", "crossed_mean"],
        "paired": ["SignedRank", "friedman", "hodges_lehmann", "signed_rank"],
        "preference": [
            "PooledShare",
            "clopper_pearson",
            "pooled_share",
            "position_effect",
            "share_per_reader",
            "trials_from_ratings",
        ],
        "tables": ["check_table"],
    },
)
