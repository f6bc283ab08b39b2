"""What chapters need besides the library: teaching images, self-checking exercises, quizzes."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "checking": ["Exercise", "Feedback", "check"],
        "inventory": ["inventory", "inventory_gain", "read_inventories"],
        "materials": [
            "AROUND_NODULE",
            "CREDIT",
            "CREDIT_LOW",
            "LEFT_LUNG",
            "dose_ladder",
            "nodule_slice",
            "without_nodule",
        ],
        "filters": ["errors_by_place", "filter_ladder", "rmse_ladder"],
        "lesions": ["lesion_pages", "lesion_survival", "quiet_places"],
        "mirror": ["objective"],
        "toy_cyclegan": ["ToyPlan", "ToyRun", "train_toy", "train_toys"],
        "pace": ["is_fast", "pace"],
        "rivals": ["rivals_table", "share_of_gain"],
        "readers": ["beside_colleagues", "simulated_choices", "simulated_ratings"],
        "quizzes": ["Option", "Question", "Quiz", "quiz"],
    },
)
