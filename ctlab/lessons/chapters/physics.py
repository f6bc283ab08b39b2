"""Exercises and quiz of the chapter on CT physics and HU."""

import math

from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

EXERCISES: dict[str, Exercise] = {
    "hu_of_mu": numeric(
        lambda: 1000 * (0.0212 - 0.0193) / 0.0193,
        {
            0.0984: "The ratio is right; HU are thousandths of it.",
            1098.4: "This is relative to vacuum. Water must come out as 0 HU: subtract it first.",
        },
        (
            "Which matter has 0 HU, and which has -1000?",
            "Subtract the attenuation of water, divide by it, and take thousandths.",
            "1000 x (0.0212 - 0.0193) / 0.0193.",
        ),
        "about 98 HU, denser than water: contrast-enhanced blood has such values.",
        unit="in HU",
    ),
    "transmitted": numeric(
        lambda: math.exp(-2),
        {
            2: "That is the line integral. What share of the photons gets through?",
            0.8647: "That is the share that is stopped.",
        },
        (
            "What is the line integral of this ray?",
            "The share that gets through is the exponential of minus the line integral.",
            "exp(-0.02 x 100).",
        ),
        "0.135: ten centimetres of water stop six photons in seven.",
        unit="a share between 0 and 1",
    ),
    "hu_per_grey": numeric(
        lambda: 400 / 256,
        {
            400: "That is the whole window. A screen divides it into 256 greys.",
            256 / 400: "That is greys per HU. Turn it over.",
        },
        (
            "Into how many greys is the width divided?",
            "Divide the width of the window by the number of greys.",
            "400 over 256.",
        ),
        "1.6 HU: two tissues closer than that are one grey.",
        unit="in HU per grey",
    ),
}

QUIZ = (
    Question(
        "A nodule looks white in the lung window. What do you know?",
        (
            Option(
                "It is calcified.",
                "White only means above the window's upper end, 150 HU here, and display clips "
                "there. Soft tissue in contrast medium and calcium look alike. Read the HU.",
            ),
            Option(
                "Its HU lie near or above the upper end of the window.",
                "Grey is not HU. The window decides what white stands for.",
                is_right=True,
            ),
            Option(
                "It is denser than the heart.",
                "Both may be clipped to the same white. The lung window cannot rank them.",
            ),
        ),
    ),
    Question(
        "Why does filtered back-projection filter?",
        (
            Option(
                "To remove noise.",
                "The ramp does the opposite: it lifts high frequencies, and noise with them.",
            ),
            Option(
                "Because back-projection alone samples the centre of frequency space too densely.",
                "All views cross there, so the sum is blurred. The ramp undoes this weight.",
                is_right=True,
            ),
            Option(
                "Because detectors are not perfect.",
                "Even with perfect detectors plain back-projection gives a blurred image.",
            ),
        ),
    ),
    Question(
        "Pixels outside the scan circle hold -2048. What are they?",
        (
            Option(
                "Very thin air.",
                "Nothing is thinner than vacuum, and vacuum lies near -1000 HU.",
            ),
            Option(
                "A fill value that means: not measured.",
                "It must be masked before any mean, histogram or metric is computed.",
                is_right=True,
            ),
            Option(
                "An error in the file.", "It is common practice, and the DICOM header can name it."
            ),
        ),
    ),
)
