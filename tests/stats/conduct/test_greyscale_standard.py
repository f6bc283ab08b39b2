"""GSDF: published pairs of index and luminance, and what TG-270 remarks."""

import pytest

from reader_study.stats.conduct.greyscale_standard import (
    gsdf_cd_m2,
    jnd_index,
    screen_luminance,
)


@pytest.mark.parametrize(
    ("jnd", "cd_m2"), [(1, 0.04999), (100, 1.8509), (250, 14.325), (500, 119.13), (1000, 3439.2)]
)
def test_indices_and_luminances_of_ps3_14(jnd, cd_m2):
    assert gsdf_cd_m2(jnd) == pytest.approx(cd_m2, rel=5e-4)
    if jnd > 1:
        assert jnd_index(gsdf_cd_m2(jnd)) == pytest.approx(jnd, abs=0.05)


def test_the_range_of_a_screen_with_ambient_light_included():
    assert screen_luminance(0.6, 100).jnd == pytest.approx(424, abs=1)
    assert screen_luminance(0.5, 119.5, ambient_cd_m2=0.5).ratio == pytest.approx(120.0)
    assert screen_luminance(1.0, 350).remarks == ()
    assert len(screen_luminance(0.2, 300, ambient_cd_m2=0.3).remarks) == 4


def test_readings_that_no_screen_gives_are_refused():
    with pytest.raises(ValueError, match="white above black"):
        screen_luminance(100, 100)
    with pytest.raises(ValueError, match=r"0\.05 to 4000"):
        screen_luminance(0.01, 100)
    with pytest.raises(ValueError, match="1 to 1023"):
        gsdf_cd_m2(0)
