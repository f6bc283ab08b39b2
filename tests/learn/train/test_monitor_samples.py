import numpy as np

from ctlab.ct import LUNG
from ctlab.learn.train.monitor import SAMPLES, ValidationBatch, samples
from ctlab.learn.train.state import build_networks


def test_columns_are_low_dose_denoised_and_their_difference(tiny_config, tiny_domains):
    """An untrained denoiser is the identity: equal columns, and a grey difference."""
    validation = ValidationBatch.draw(tiny_config, *tiny_domains)
    picture = samples(build_networks(tiny_config), validation, tiny_config)
    size = tiny_config.patch_px
    assert picture.shape == (SAMPLES * size, 5 * size)
    assert picture.dtype == np.uint8
    low, denoised, _, _, difference = np.split(picture, 5, axis=1)
    assert np.array_equal(low, denoised)
    assert (difference == 128).all() or (difference == 127).all()
    first_hu = tiny_config.scale.to_hu(validation.low[0, 0]).numpy()
    assert np.array_equal(low[:size], LUNG.render(first_hu))
