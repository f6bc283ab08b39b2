"""Phantom patients drawn in a moment: those that are scanned have tests of their own."""

import numpy as np
import pytest

from ctlab.assess.safety.failure_gallery import ct_noise
from ctlab.passport.phantoms import PhantomPatient


def drawn_patient(seed: int, dose: float) -> PhantomPatient:
    """Lung beside a wall, with noise of 20 HU at full dose."""
    rng = np.random.default_rng([seed, 7])
    truth = np.full((64, 64), -850.0)
    truth[:, : int(rng.integers(8, 24))] = 40.0
    low = truth + ct_noise(rng, truth.shape, sd_hu=20.0 / np.sqrt(dose))
    return PhantomPatient(truth.astype(np.float32), low.astype(np.float32), 0.7)


@pytest.fixture(scope="module")
def drawn_phantoms():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ctlab.passport.checks.phantom_patient", drawn_patient)
        yield
