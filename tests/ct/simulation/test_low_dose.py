"""Dose simulation against theory: variance, spectrum, low counts, and what must not change."""

import numpy as np
import pytest

from ctlab.ct import Volume, load_sample, simulate_dose
from ctlab.ct.noise_level import measure_noise_hu
from ctlab.ct.simulation.calibration import NoiseTrial, calibrate, fraction_for_noise
from ctlab.ct.simulation.low_dose import slice_seeds
from ctlab.ct.simulation.parallel_beam import (
    ParallelBeam,
    apodisation,
    backproject,
    fbp,
    filter_views,
)
from ctlab.ct.simulation.projection_noise import (
    UnitNoise,
    add_noise,
    check_gantry_planes,
    draw_noise,
    line_integrals,
    projection_noise,
)
from ctlab.ct.simulation.scanner import MU_WATER_PER_MM, SPECTRUM_120_KVP, Scanner
from ctlab.ct.simulation.test_objects import water_cylinder

SIZE = 128
SEEDS_OF_7 = [5765488047046174021, 8275336682942969162]
QUANTUM_OF_7 = [1.521969, -1.144106, 1.150162]
NOISE_OF_7 = [25.0, -9.056, 21.848]


@pytest.fixture(scope="module")
def water():
    return water_cylinder(size=SIZE, pixel_mm=2.0, radius_mm=100.0, slices=2)


@pytest.fixture(scope="module")
def sample_slices():
    return load_sample().slices(18, 20)


def centre(hu):
    return hu[..., 44:84, 44:84]


def test_dose_one_adds_exactly_nothing(water, sample_slices):
    for volume in (water, sample_slices):
        same = simulate_dose(volume, 1.0, rng=np.random.default_rng(0))
        assert np.array_equal(same.hu, volume.hu)
        assert same.hu is not volume.hu


def test_the_same_seed_gives_the_same_series_and_slices_differ(water):
    one, two, other = (
        simulate_dose(water, 0.2, rng=np.random.default_rng(s), scanner=Scanner(views=90)).hu
        for s in (5, 5, 6)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one[0], one[1])


def test_variance_follows_the_missing_dose(water):
    """Variance added at d is (1/d - 1) times that of full dose, while electrons are no issue."""
    scanner = Scanner(photons=1e6, electronic_sd=0.0, views=360)
    units = [
        draw_noise(scanner.beam((SIZE, SIZE), 2.0), np.random.default_rng(k)) for k in range(4)
    ]
    beam = scanner.beam((SIZE, SIZE), 2.0)

    def variance(fraction):
        added = [
            add_noise(water.hu[0], u, fraction, beam=beam, scanner=scanner) - water.hu[0]
            for u in units
        ]
        return float(np.var(centre(np.stack(added))))

    unit = variance(0.5)
    for fraction in (0.25, 0.1, 0.05):
        assert variance(fraction) / unit == pytest.approx(1 / fraction - 1, rel=0.05)


def test_electronic_noise_departs_from_the_dose_as_predicted(water):
    """In the disc's middle, against the formula's variance averaged over the rays through it.

    At half dose quantum noise reigns; at a twentieth electronic noise adds more than quantum noise
    does. With a thousand photons left on the longest ray the logarithm is a straight line to within
    a percent; 32 draws of 20 x 20 pixels leave 2 % of chance.
    """
    scanner = Scanner(photons=1e6, electronic_sd=40.0, views=240)
    beam = scanner.beam((SIZE, SIZE), 2.0)
    units = [draw_noise(beam, np.random.default_rng(k)) for k in range(32)]
    y, x = np.mgrid[-19:20:2, -19:20:2]  # mm, pixels 54 to 73
    angles = np.linspace(0, np.pi, 60)[:, None, None]
    chord = 2 * np.sqrt(100.0**2 - (x * np.cos(angles) + y * np.sin(angles)) ** 2)
    thinned = np.exp(chord * MU_WATER_PER_MM).mean() / scanner.photons  # 1 / photons that arrive
    squared = np.exp(2 * chord * MU_WATER_PER_MM).mean() / scanner.photons**2

    def variance(fraction):
        added = [
            add_noise(water.hu[0], u, fraction, beam=beam, scanner=scanner) - water.hu[0]
            for u in units
        ]
        return float(np.var(np.stack(added)[:, 54:74, 54:74]))

    def predicted(fraction):
        electronic = (1 - fraction**2) / fraction**2 * scanner.electronic_sd**2
        return (1 / fraction - 1) * thinned + electronic * squared

    half = variance(0.5)
    for few in (0.2, 0.1, 0.05):
        found = variance(few) / half
        assert found == pytest.approx(predicted(few) / predicted(0.5), rel=0.04)
    assert found > 1.8 * (1 / few - 1)  # of 1/dose alone


def test_a_patient_beyond_the_field_of_view_gets_noise_and_no_more():
    """A body that fills the image to its corners: no rim, no artefact, noise of the same order."""
    body = water_cylinder(size=96, pixel_mm=2.0, radius_mm=200.0)
    assert (body.hu == 0).all()
    low = simulate_dose(body, 0.2, rng=np.random.default_rng(0), scanner=Scanner(views=120))
    noise = low.hu - body.hu
    assert np.isfinite(noise).all()
    inner, rim = noise[0, 36:60, 36:60], noise[0, 4:10, 36:60]
    assert abs(inner.mean()) < 3
    assert abs(rim.mean()) < 3
    assert 0.3 < rim.std() / inner.std() < 1.5


def test_a_seed_means_the_same_numbers_everywhere():
    """Pinned: draws of PCG64 as NumPy guarantees them, and the noise they turn into."""
    beam = ParallelBeam.covering((16, 16), 2.0, views=12)
    unit = draw_noise(beam, np.random.Generator(np.random.PCG64(7)))
    assert slice_seeds(np.random.default_rng(7), 2).tolist() == SEEDS_OF_7
    assert unit.quantum[0, :3] == pytest.approx(QUANTUM_OF_7, rel=1e-6)
    water = np.zeros((16, 16), np.float32)
    scanner = Scanner(photons=1e4, views=12)
    noisy = add_noise(water, unit, 0.1, beam=beam, scanner=scanner)
    assert noisy[8, 6:9] == pytest.approx(NOISE_OF_7, abs=0.05)


@pytest.mark.parametrize("electronic_sd", [0.0, 30.0])
def test_projection_variance_is_that_of_the_formula(electronic_sd, rng):
    photons, fraction, p = 1e5, 0.1, 3.0
    beam = ParallelBeam((4, 4), 1.0, tuple(np.zeros(400)), 400, 1.0)
    lines = np.full(beam.sinogram_shape, p, np.float32)
    scanner = Scanner(photons=photons, electronic_sd=electronic_sd)
    added = projection_noise(lines, draw_noise(beam, rng), fraction, beam=beam, scanner=scanner)
    inverse = np.exp(p) / photons
    electronic = (1 + fraction) / fraction * electronic_sd**2 * inverse
    expected = (1 / fraction - 1) * inverse * (1 + electronic)
    assert added.var() == pytest.approx(expected, rel=0.02)
    if electronic_sd:  # it departs from 1/dose as predicted, not by chance
        assert electronic > 1


def test_quantum_noise_has_the_moments_of_thinned_counts(rng):
    """Against numpy's binomial: mean, variance and skewness of the low-dose count."""
    count, fraction = 200, 0.1
    beam = ParallelBeam((4, 4), 1.0, tuple(np.zeros(500)), 500, 1.0)
    scanner = Scanner(photons=count, electronic_sd=0.0)
    lines = np.zeros(beam.sinogram_shape, np.float32)
    added = projection_noise(lines, draw_noise(beam, rng), fraction, beam=beam, scanner=scanner)
    low = fraction * count * np.exp(-added.astype(float))
    exact = rng.binomial(count, fraction, low.size).astype(float)
    assert low.mean() == pytest.approx(exact.mean(), rel=0.005)
    assert low.var() == pytest.approx(exact.var(), rel=0.02)
    skewness = [np.mean((v - v.mean()) ** 3) / v.std() ** 3 for v in (low, exact)]
    assert skewness[0] == pytest.approx(skewness[1], abs=0.03)


def test_few_photons_shift_the_logarithm_and_hu(water):
    """The mean of ln(mean / count) is 1 / (2 mean) to first order, and images get lighter."""
    scanner = Scanner(photons=3e3, electronic_sd=3.0, views=180)
    beam = scanner.beam((SIZE, SIZE), 2.0)
    unit = draw_noise(beam, np.random.default_rng(1))
    lines = line_integrals(water.hu[0], beam)
    added = projection_noise(lines, unit, 0.3, beam=beam, scanner=scanner)
    thick = lines > lines.max() - 0.1
    expected = 0.5 * added[thick].var()
    assert added[thick].mean() == pytest.approx(expected, rel=0.35)
    noisy = simulate_dose(water, 0.3, rng=np.random.default_rng(2), scanner=scanner)
    plenty = simulate_dose(
        water, 0.3, rng=np.random.default_rng(2), scanner=Scanner(1e6, views=180)
    )
    assert centre(noisy.hu).mean() > 5 > abs(centre(plenty.hu).mean())


def test_noise_power_is_the_squared_window_times_frequency():
    """White projection noise: NPS(f) ~ A(f)^2 f, times the window of linear interpolation."""
    beam = ParallelBeam.covering((256, 256), 1.0, views=400)
    power = np.zeros((128, 128))
    for seed in range(12):
        white = np.random.default_rng(seed).standard_normal(beam.sinogram_shape)
        roi = fbp(white, beam, filter_name="hann")[64:192, 64:192]
        power += np.abs(np.fft.fft2(roi - roi.mean())) ** 2
    axis = np.fft.fftfreq(128)
    f = np.hypot(axis[:, None], axis[None, :])
    bands = [(f > low) & (f <= low + 0.05) for low in np.arange(0.05, 0.45, 0.05)]
    found = np.array([power[b].mean() for b in bands])
    predicted = np.array(
        [(f[b] * (apodisation(f[b] / 0.5, "hann") * np.sinc(f[b]) ** 2) ** 2).mean() for b in bands]
    )
    shape = found / found.sum() - predicted / predicted.sum()
    assert np.abs(shape).max() < 0.012
    dc = power[f < 0.01].mean()
    assert dc < 0.15 * found.max()


def test_filtered_noise_is_zero_at_dc_before_interpolation(rng):
    white = rng.standard_normal((200, 256))
    spectrum = np.abs(np.fft.rfft(filter_views(white, 1.0, "ramp"), axis=1)) ** 2
    mean = spectrum.mean(axis=0)
    assert mean[0] < 0.01 * mean[64]
    assert mean[96] / mean[48] == pytest.approx(4.0, rel=0.25)  # |A f|^2 of a view


def test_calibration_reproduces_the_noise_of_the_scan(sample_slices):
    reference = measure_noise_hu(sample_slices)
    scanner = calibrate(sample_slices)
    lower = simulate_dose(sample_slices, 0.1, rng=np.random.default_rng(0), scanner=scanner)
    assert measure_noise_hu(lower) == pytest.approx(reference / np.sqrt(0.1), rel=0.09)
    double = calibrate(sample_slices, noise_sd_hu=2 * reference)
    assert scanner.photons / double.photons == pytest.approx(4, rel=0.05)


def test_the_dose_for_a_noise_is_found(sample_slices):
    scanner = calibrate(sample_slices)
    fraction = fraction_for_noise(sample_slices, 60.0, scanner=scanner)
    reference = measure_noise_hu(sample_slices)
    assert fraction == pytest.approx((reference / 60.0) ** 2, rel=0.15)
    with pytest.raises(ValueError, match="ask for more than that"):
        fraction_for_noise(sample_slices, 1.0)


def test_noise_that_no_photon_number_gives_is_refused(water):
    """Starved rays all end at one photon, so noise has a maximum; below it any is reached."""
    for wanted in (0.05, 30.0, 180.0):
        scanner = calibrate(water, noise_sd_hu=wanted)
        trial = NoiseTrial.of(water, scanner)
        assert trial.sd_hu(scanner) == pytest.approx(wanted, rel=0.02)
    with pytest.raises(ValueError, match=r"at most about [0-9]+ HU.*, got 5000 HU"):
        calibrate(water, noise_sd_hu=5000.0)
    for wanted in (0.0, -3.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"0\.01 HU or more and finite"):
            calibrate(water, noise_sd_hu=wanted)
    noisy = water.with_hu(water.hu + np.random.default_rng(0).normal(0, 5, water.shape))
    with pytest.raises(ValueError, match="cannot be reached"):
        fraction_for_noise(noisy, 5000.0)


def test_fill_outside_the_field_of_view_stays(sample_slices):
    lower = simulate_dose(sample_slices, 0.1, rng=np.random.default_rng(0), scanner=Scanner())
    outside = sample_slices.hu < -1024
    assert outside.mean() > 0.1
    assert np.array_equal(lower.hu[outside], sample_slices.hu[outside])
    assert np.isfinite(lower.hu).all()
    assert any("10 % of this scan's own dose" in p for p in lower.problems)


def test_only_noise_is_added(water):
    """With the random numbers at zero nothing changes but a tiny bias."""
    scanner = Scanner(views=60)
    beam = scanner.beam((SIZE, SIZE), 2.0)
    zero = np.zeros(beam.sinogram_shape, np.float32)
    still = add_noise(water.hu[0], UnitNoise(zero, zero), 0.1, beam=beam, scanner=scanner)
    # The quantile at z = 0 lies below the mean of a skewed count, by a sixth of a photon.
    assert np.abs(centre(still) - centre(water.hu[0])).max() < 1.5


def test_halving_the_resolution_of_the_projector_is_harmless(water, monkeypatch):
    from ctlab.ct.simulation.parallel_beam import project
    from ctlab.ct.simulation.scanner import MU_WATER_PER_MM

    beam = Scanner(views=60).beam((SIZE, SIZE), 2.0)
    full = project(np.clip(MU_WATER_PER_MM * (1 + water.hu[0] / 1000), 0, None), beam)
    thick = full > 1
    assert np.abs(line_integrals(water.hu[0], beam) - full)[thick].max() < 0.1


def test_bowtie_modulation_and_spectrum_change_where_photons_are(water):
    beam = Scanner(views=60).beam((SIZE, SIZE), 2.0)
    oval = water.hu[0].copy()
    oval[:44] = oval[84:] = -1000  # flat body: thick from the side, thin from the front
    lines = line_integrals(oval, beam)
    plain = Scanner().counts(lines, beam)
    bowtie = Scanner(bowtie_mm=60.0).counts(lines, beam)
    middle = beam.detectors // 2
    assert bowtie[0, middle] == pytest.approx(plain[0, middle], rel=0.01)
    offset = int(np.argmin(np.abs(beam.detector_positions_mm - 60)))
    assert bowtie[0, offset] == pytest.approx(plain[0, offset] / 2, rel=0.03)
    modulated = Scanner(modulation=1.0).counts(lines, beam)
    assert np.ptp(np.log(modulated.min(axis=1))) < 0.1 < np.ptp(np.log(plain.min(axis=1)))
    current = modulated[:, 0] / plain[:, 0]
    assert current.mean() == pytest.approx(1.0)
    hard = Scanner(spectrum=SPECTRUM_120_KVP)
    attenuation = -np.log(hard.transmission(np.array([0.0, 1.0, 7.0, 8.0])))
    assert attenuation[3] - attenuation[2] < 0.95 * (attenuation[1] - attenuation[0])
    assert hard.hardening_slope(np.array([8.0]))[0] > hard.hardening_slope(np.array([0.1]))[0]


def test_starved_rays_end_at_one_photon():
    """However thick the body, a count below one is cut off, so the change stays bounded."""
    beam = ParallelBeam((4, 4), 1.0, tuple(np.zeros(50)), 50, 1.0)
    lines = np.full(beam.sinogram_shape, 40.0, np.float32)
    scanner = Scanner(photons=1e5, electronic_sd=0.0)
    assert (scanner.counts(lines, beam) == 1).all()
    unit = draw_noise(beam, np.random.default_rng(0))
    added = projection_noise(lines, unit, 0.1, beam=beam, scanner=scanner)
    assert np.abs(added).max() < np.log(10) + 1e-6


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01, 7, np.nan])
def test_doses_out_of_range_are_refused(water, fraction):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        simulate_dose(water, fraction, rng=np.random.default_rng(0))


def test_impossible_scanners_are_refused():
    with pytest.raises(ValueError, match="photons"):
        Scanner(photons=0)
    with pytest.raises(ValueError, match="modulation"):
        Scanner(modulation=2)
    with pytest.raises(ValueError, match="filter"):
        Scanner(filter_name="B30f")


def test_backprojection_alone_of_zero_is_zero():
    beam = ParallelBeam.covering((16, 16), 1.0, views=4)
    assert (backproject(np.zeros(beam.sinogram_shape), beam) == 0).all()


AXIAL, CORONAL = (1.0, 0, 0, 0, 1.0, 0), (1.0, 0, 0, 0, 0, -1.0)
TILTED = (1.0, 0, 0, 0, float(np.cos(0.3)), float(np.sin(0.3)))
"""Rows stay horizontal; planes are turned by 0.3 rad (17 degrees)."""


@pytest.mark.parametrize(
    ("orientation", "step_mm", "pixel_mm", "refused"),
    [
        (AXIAL, (0, 0, 5.0), (1.0, 1.0), ""),
        (TILTED, (0, 0, 5.0), (1.0, 1.0), ""),  # a tilted gantry: the table moves along z
        (TILTED, (0, -1.48, 4.78), (1.0, 1.0), "turned by 17 degrees"),  # an oblique reformat
        (CORONAL, (0, 5.0, 0), (1.0, 1.0), "turned by 90 degrees"),
        (AXIAL, (0, 0, 5.0), (0.5, 0.75), "0.5 x 0.75 mm"),
    ],
)
def test_only_planes_of_a_gantry_with_square_pixels_are_simulated(
    water, orientation, step_mm, pixel_mm, refused
):
    offsets = tuple(tuple(k * s for s in step_mm) for k in range(2))
    scan = Volume(water.hu, (5.0, *pixel_mm), orientation=orientation, offsets_mm=offsets)
    if not refused:
        check_gantry_planes(scan)
        return
    for work in (
        lambda: simulate_dose(scan, 0.5, rng=np.random.default_rng(0)),
        lambda: calibrate(scan, noise_sd_hu=10.0),
    ):
        with pytest.raises(ValueError, match=refused):
            work()
