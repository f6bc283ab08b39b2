"""Windows and the scale between HU and network units."""

import numpy as np
import pytest

from ctlab.ct import (
    BONE,
    LUNG,
    MEDIASTINUM,
    WINDOWS,
    HuScale,
    Window,
)


def test_named_windows_are_the_usual_ones():
    assert {k: (w.level_hu, w.width_hu) for k, w in WINDOWS.items()} == {
        "lung": (-600, 1500),
        "mediastinum": (40, 400),
        "bone": (400, 1800),
    }
    assert (LUNG.low_hu, LUNG.high_hu) == (-1350, 150)
    assert str(MEDIASTINUM) == "mediastinum 40/400 HU"


def test_rendering_rounds_and_clips():
    window = Window(0, 510)
    hu = np.array([-1000, -255, -253.9, 0, 255, 3000])
    assert window.render(hu).tolist() == [0, 0, 1, 128, 255, 255]
    assert window.render(hu).dtype == np.uint8


def test_rendering_never_falls_with_hu():
    grey = BONE.render(np.arange(-1100, 3100)).astype(int)
    assert (np.diff(grey) >= 0).all()


def test_network_units_come_back_exactly():
    scale = HuScale(-300.0, 50.0)
    hu = np.linspace(-1024, 3071, 999, dtype=np.float32)
    assert scale.to_hu(scale.to_net(hu)) == pytest.approx(hu, abs=1e-3)
    assert scale.to_net(np.float32(-250)) == 1


def test_impossible_scales_are_refused():
    with pytest.raises(ValueError, match="above 0 HU"):
        Window(0, 0)
    with pytest.raises(ValueError, match="above 0 HU"):
        HuScale(0, -1)
    with pytest.raises(ValueError, match="above 0 HU"):
        Window(0, float("nan"))
