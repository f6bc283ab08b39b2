"""The live figure as a process of its own, asked through its pipes; the reading room starts it.

``python -m ctlab.lessons.live.process`` speaks as :mod:`ctlab.view.live.pipe` says.
"""

import os
import sys
import threading
from contextlib import suppress

from ctlab.lessons.live.figure import live_slice, networks_module
from ctlab.view.live.pipe import answer_questions

GOALS = [
    {
        "text": "a nodule of which the shipped network keeps less than nine tenths",
        "number": "kept",
        "network": "shipped",
        "below": 0.9,
    },
    {
        "text": "the lesion eraser leaves less than half of a nodule",
        "number": "kept",
        "network": "eraser",
        "below": 0.5,
    },
    {
        "text": "less than 8 % of the dose, and an error below 32 HU after the network",
        "number": "rmse_after_hu",
        "below": 32,
        "dose_below": 0.08,
    },
]
"""What a visitor of the demonstration is asked to find."""


def main() -> None:
    """Answer until the questions end."""
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # what a library prints must not get between the answers
        threading.Thread(target=_warm, daemon=True).start()
        viewer = live_slice(
            given_label="Simulated",
            offer=["network", "brush", "disturb", "why", "own"],
            goals=GOALS,
            place="server",
            alt="Left lung with the noise of a lower dose, beside what the chosen network makes "
            "of it",
        )
        answer_questions(viewer, sys.stdin.buffer, answers)


def _warm() -> None:
    """Import torch while the slice is made; what is missing is said when the network is asked."""
    with suppress(ValueError):
        networks_module()


if __name__ == "__main__":
    main()
