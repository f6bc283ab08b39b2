"""Make the README's picture: one slice at full dose, at a simulated tenth of it, and denoised.

python book/images/make_hero.py
"""

from pathlib import Path

import numpy as np

from ctlab.ct import (
    LUNG,
    SAMPLE_CREDIT,
    SAMPLE_NODULE,
    load_sample,
    simulate_dose,
)
from ctlab.figures import slices
from ctlab.files import write_whole
from ctlab.learn import denoise_volume

volume = load_sample()
low = simulate_dose(volume, 0.1, rng=np.random.default_rng(0))
clean = denoise_volume(low)
number = SAMPLE_NODULE.centre[0]
lung = np.s_[200:420, 230:450]
picture = slices(
    {
        "full dose": volume.hu[number][lung],
        "10 % dose (simulated)": low.hu[number][lung],
        "denoised by the shipped model": clean.hu[number][lung],
    },
    window=LUNG,
    spacing_mm=volume.spacing_mm,
    alt="The same lung with a large nodule three times: clear at full dose, grainy at a tenth of "
    "the dose, calm again after denoising, with the finest vessels fainter than at full dose.",
    credit=SAMPLE_CREDIT,
)
with write_whole(Path(__file__).parent / "hero.png") as part:
    part.write_bytes(picture.data)
