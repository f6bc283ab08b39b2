"""What chapters need besides the library: teaching images, self-checking exercises, quizzes."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "exercises.checking": ["Exercise", "Feedback", "check"],
        "exercises.inventory": ["inventory", "inventory_gain", "read_inventories"],
        "exercises.nodule_hunt": ["hunt_curve", "nodule_hunt"],
        "exercises.overlay_reading": ["overlay_reading"],
        "material.images": [
            "AROUND_NODULE",
            "CREDIT",
            "CREDIT_LOW",
            "LEFT_LUNG",
            "dose_ladder",
            "frame_of_lung",
            "nodule_slice",
            "without_nodule",
        ],
        "material.adaptation_table": ["adaptation_table", "read_adaptation"],
        "material.filter_ladders": ["errors_by_place", "filter_ladder", "rmse_ladder"],
        "material.lesion_survival": ["lesion_pages", "lesion_survival", "quiet_places"],
        "live.figure": ["LIVE_CROP", "LIVE_TRAINING", "live_answer", "live_slice"],
        "material.results": ["experiment_results"],
        "material.torch_mirror": ["objective"],
        "material.toy_cyclegan": ["ToyPlan", "ToyRun", "train_toy", "train_toys"],
        "material.pace": ["is_fast", "pace"],
        "material.method_table": ["method_table", "share_of_gain"],
        "material.simulated_readers": [
            "beside_colleagues",
            "simulated_choices",
            "simulated_ratings",
        ],
        "exercises.quizzes": ["Option", "Question", "Quiz", "quiz"],
    },
)
