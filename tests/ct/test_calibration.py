"""Calibration on scans whose photons are known: found again, on several slices, by the current."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest

from ctlab.ct import (
    calibrate,
    load_sample,
    read_series,
    simulate_series,
    write_series,
)
from ctlab.ct.noise_level import measure_noise_hu
from ctlab.ct.simulation.calibration import (
    photons_of_slices,
    relative_currents,
    trial_indices,
)
from ctlab.ct.simulation.chest_phantom import chest_phantom
from ctlab.ct.simulation.low_dose import simulate_dose
from ctlab.ct.simulation.low_dose_series import SimulationReport
from ctlab.ct.simulation.scanner import Scanner
from ctlab.ct.simulation.test_objects import water_cylinder

VIEWS = 240


@pytest.fixture(scope="module")
def chest():
    return chest_phantom(rng=np.random.default_rng(3), size=256, slices=7).volume


def scanned(volume, photons, seed=2):
    """The noise-free volume as a scanner with that many photons sees it."""
    rng, scanner = np.random.default_rng(seed), Scanner(photons=photons, views=VIEWS)
    return simulate_dose(volume, 1.0, rng=rng, scanner=scanner, missing_only=False)


@pytest.mark.parametrize("photons", [4e5, 4e4, 8e3])
@pytest.mark.parametrize("what", ["chest", "water"])
def test_the_photons_of_a_known_scan_are_found_again(what, chest, photons):
    """Noise SD within 5 %: streaks bias the measured noise, and the calibrating noise alike."""
    clean = chest if what == "chest" else water_cylinder(size=160, pixel_mm=1.5, slices=5)
    found = calibrate(scanned(clean, photons), scanner=Scanner(views=VIEWS)).photons
    assert np.sqrt(photons / found) == pytest.approx(1, abs=0.05)


def test_photons_do_not_depend_on_the_pixel_size():
    """Noise of water falls to its rim: its mode, as measured, is 5 % below its median."""
    water = water_cylinder(size=120, pixel_mm=1.2, radius_mm=58.0, slices=4)
    known = scanned(water, 1e5)
    found = calibrate(known, scanner=Scanner(views=VIEWS))
    assert found.photons == pytest.approx(1e5, rel=0.07)
    each = photons_of_slices(known, found)
    assert len(each) == 4
    assert np.mean(each) == pytest.approx(1e5, rel=0.1)


def test_a_report_says_where_slices_disagree():
    """Half of the slices have a quarter of the photons, and no header tells it."""
    water = water_cylinder(size=96, pixel_mm=2.0, radius_mm=80.0, slices=4)
    few, many = scanned(water, 2e4), scanned(water, 8e4)
    mixed = water.with_hu(np.concatenate([few.hu[:2], many.hu[2:]]))
    each = photons_of_slices(mixed, calibrate(mixed, scanner=Scanner(views=VIEWS)))
    assert max(each) / min(each) == pytest.approx(4, rel=0.4)
    report = SimulationReport(0.1, 40.0, 12.0, 4, 5e4, 0, 4, None, (min(each), max(each)))
    assert "other slices of this scan" in report.spread_in_words()
    assert replace(report, photons_of_slices=(4e4, 6e4)).spread_in_words() == ""


def test_several_slices_count_and_one_odd_slice_does_not(chest):
    """A scan whose middle slice alone has a quarter of the photons is calibrated on the others."""
    known = scanned(chest, 4e4)
    hu = known.hu.copy()
    hu[3] = scanned(chest, 1e4, seed=9).hu[3]
    found = calibrate(known.with_hu(hu), scanner=Scanner(views=VIEWS)).photons
    assert np.sqrt(4e4 / found) == pytest.approx(1, abs=0.1)


def test_photons_follow_the_tube_current():
    """Water scanned at 50 to 200 mA: each slice at half dose has its own noise times sqrt(2)."""
    current = tuple(np.geomspace(50, 200, 6).tolist())
    water = water_cylinder(size=128, pixel_mm=2.0, radius_mm=100.0, slices=6)
    water = replace(water, current_ma=current)
    known = scanned(water, 1e5)
    own = [centre_sd(h) for h in known.hu]
    assert own[0] / own[-1] == pytest.approx(2, rel=0.06)
    scanner = calibrate(known, scanner=Scanner(views=VIEWS))
    half = simulate_dose(known, 0.5, rng=np.random.default_rng(4), scanner=scanner)
    for before, after in zip(own, half.hu, strict=True):
        assert centre_sd(after) / before == pytest.approx(np.sqrt(2), rel=0.1)
    alike = simulate_dose(
        replace(known, current_ma=()), 0.5, rng=np.random.default_rng(4), scanner=scanner
    )
    assert centre_sd(alike.hu[-1]) / own[-1] > 1.6  # what following the current avoids


def centre_sd(hu):
    return float(hu[44:84, 44:84].std())


@pytest.mark.slow
def test_the_command_and_the_function_follow_it_alike(tmp_path):
    sample = load_sample().slices(5, 12)
    sample = replace(sample, hu=sample.hu[:, 128:384, 128:384])  # quicker
    write_series(sample, tmp_path / "full", description="Full")
    for k, file in enumerate(sorted((tmp_path / "full").iterdir())):
        dataset = pydicom.dcmread(file)
        dataset.XRayTubeCurrent = 100 + 20 * k
        dataset.save_as(file)
    volume = read_series(tmp_path / "full")
    assert volume.current_ma == tuple(100.0 + 20 * k for k in range(7))
    assert volume.slices(2, 4).current_ma == (140.0, 160.0)
    report = simulate_series(tmp_path / "full", tmp_path / "low", fraction=0.3, seed=5)
    wanted = simulate_dose(volume, 0.3, rng=np.random.default_rng(5))
    assert np.abs(read_series(tmp_path / "low").hu - wanted.hu).max() <= 0.51
    assert report.calibrated_slices == len(trial_indices(7))
    assert report.calibration_in_words() == (
        "photons by the noise of 4 slices (within 10%), following 100 to 220 mA"
    )


def test_the_current_counts_only_where_every_slice_gives_it():
    assert relative_currents((100.0, 0.0), 2).tolist() == [1, 1]
    assert relative_currents((100.0,), 2).tolist() == [1, 1]
    assert relative_currents((100.0, np.nan), 2).tolist() == [1, 1]
    long = relative_currents(np.r_[np.full(50, 100.0), np.full(50, 300.0)], 100)
    assert long[0] * 3 == pytest.approx(long[-1])


def test_noise_asked_for_is_measured(chest):
    """``noise_sd_hu`` is what a series scanned with the found scanner measures, within 6 %."""
    for wanted in (12.0, 60.0):
        found = calibrate(chest, noise_sd_hu=wanted, scanner=Scanner(views=VIEWS))
        noisy = simulate_dose(
            chest, 1.0, rng=np.random.default_rng(8), scanner=found, missing_only=False
        )
        assert measure_noise_hu(noisy) == pytest.approx(wanted, rel=0.08)


@pytest.mark.parametrize(
    ("what", "within"), [("water", 0.03), pytest.param("chest", 0.07, marks=pytest.mark.slow)]
)
def test_a_simulated_tenth_has_the_noise_of_a_scan_with_a_tenth_of_the_photons(what, within, chest):
    """From a noisy scan of known photons, calibrated on itself, beside the scan computed directly.

    Either has more than sqrt(10) times the noise: electronic noise and the logarithm's bend.
    """
    clean = chest if what == "chest" else water_cylinder(size=160, pixel_mm=1.5, slices=5)
    known = Scanner(photons=4e4, views=VIEWS)
    full = scanned(clean, 4e4)
    found = calibrate(full, scanner=Scanner(views=VIEWS))
    made = simulate_dose(full, 0.1, rng=np.random.default_rng(6), scanner=found)
    direct = simulate_dose(
        clean, 0.1, rng=np.random.default_rng(5), scanner=known, missing_only=False
    )
    soft = (clean.hu > -30) & (clean.hu < 130)
    own, simulated, true = (float((v.hu - clean.hu)[soft].std()) for v in (full, made, direct))
    assert simulated == pytest.approx(true, rel=within)
    assert true > 1.03 * np.sqrt(10) * own


@pytest.mark.slow
@pytest.mark.parametrize("pixel_mm", [1.2, 0.98, 0.7, 0.5])
def test_photons_of_water_come_out_within_what_the_report_says(pixel_mm):
    """Two SD of the calibration's own noise, for three slices, at fine and coarse pixels."""
    photons, slices = 1e5, 3
    water = water_cylinder(
        size=int(240 / pixel_mm) // 4 * 4, pixel_mm=pixel_mm, radius_mm=100.0, slices=slices
    )
    scan = simulate_dose(
        water,
        1.0,
        rng=np.random.default_rng(1),
        scanner=Scanner(photons=photons),
        missing_only=False,
    )
    known_to = SimulationReport(1.0, 0, 0, slices, photons, 0, slices).photons_known_to
    assert calibrate(scan).photons / photons == pytest.approx(1, abs=2 * known_to)
