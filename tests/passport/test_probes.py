"""Probe exchange: a pretended vendor may rename and rewrite everything but the images."""

import json
import shutil

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid
from scipy.ndimage import gaussian_filter

from ctlab.assess.safety.failure_gallery import ct_noise
from ctlab.ct.dicom.slice_order import find_series
from ctlab.ct.volume import Acquisition, Volume
from ctlab.passport import export_probes, find_key, import_probes
from ctlab.passport.checks import CHECKS
from ctlab.passport.document import measure
from ctlab.passport.probe_match import Answer, match_images
from ctlab.passport.probes import ProbeAnswers, ProbeRecorder, _middle, _scan

ASKED = ("accuracy", "noise", "resolution", "invariance", "leak", "speed")


def patient() -> Volume:
    """Lung beside a wall of soft tissue, 15 HU of noise."""
    rng = np.random.default_rng(5)
    hu = np.full((4, 192, 192), -850.0)
    hu[:, :64] = 40.0
    hu += ct_noise(rng, hu.shape, sd_hu=15.0)
    facts = Acquisition(patient_id="MILLER", manufacturer="ACME", kernel="B50f", kvp=120.0)
    return Volume(hu.astype(np.float32), (2.5, 0.7, 0.7), acquisition=facts)


@pytest.fixture(scope="module")
def probes(tmp_path_factory):
    """Probes of that patient for a few checks; the whole list only takes longer."""
    out = tmp_path_factory.mktemp("exchange") / "probes"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ctlab.passport.document.CHECKS", {name: CHECKS[name] for name in ASKED})
        export_probes([patient()], out, slices=4)
        yield out


def blur(hu):
    return gaussian_filter(hu, (0,) * (np.ndim(hu) - 2) + (0.8, 0.8)) + 3.0


def vendor(probes, out, *, change=blur, slope=0.5, keep_uids=False, write=lambda k, d: d):
    """Files in other order under other names, new UIDs, another rescale; ``write`` may spoil."""
    out.mkdir()
    files = sorted((probes / "images").rglob("*.dcm"))
    order = np.random.default_rng(1).permutation(len(files))
    series = generate_uid()
    for k, n in enumerate(order):
        image = pydicom.dcmread(files[n])
        hu = change(image.pixel_array.astype(float) + float(image.RescaleIntercept))
        image.RescaleSlope, image.RescaleIntercept = slope, -2000
        image.PixelData = np.rint((hu + 2000) / slope).astype("<i2").tobytes()
        image.InstanceNumber, image.PatientID, image.SeriesDescription = k + 1, "X", "DLR"
        image.ImagePositionPatient = [0, 0, float(k)]
        image.SeriesInstanceUID, image.StudyInstanceUID = series, generate_uid()
        if not keep_uids:
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image = write(k, image)
        if image is not None:
            image.save_as(out / f"{k:03d}.img")
    return out


def numbers(passport) -> dict[str, float]:
    return {check["name"]: check["value"] for check in passport.checks}


def test_the_answers_of_a_vendor_who_changes_all_names_give_the_same_figures(probes, tmp_path):
    made = import_probes(probes, vendor(probes, tmp_path / "back"), name="DLR")
    found = numbers(made)
    facts = json.loads((probes / "key.json").read_text())
    with np.load(probes / "key.npz") as content:
        low = content["low0"]
    scans = [_scan(_middle(patient(), 4), low, blur, facts["dose"])]
    direct, _ = measure(scans, blur, seed=facts["seed"])
    for row in direct:
        if row["name"] != "speed":
            assert found[row["name"]] == pytest.approx(row["value"], abs=0.02), row["name"]
    assert found["bias in lung"] == pytest.approx(3.0, abs=0.5)
    assert found["leak between slices"] < 0.01
    notes = {check["name"]: check["note"] for check in made.checks}
    assert notes["speed"] == "needs a denoiser that can be run here (--model or --exec)"
    assert made.facts["denoiser"] == "DLR"
    assert made.facts["data"][0]["shape"] == [4, 192, 192]


def test_names_and_headers_of_the_probes_tell_nothing(probes):
    files = sorted((probes / "images").rglob("*.dcm"))
    heads = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    assert len({head.PatientID for head in heads}) == 1
    assert {str(head.SeriesDescription) for head in heads} == {"CHEST"}
    assert {str(head.ConvolutionKernel) for head in heads} == {"B50f"}
    whole = " ".join([*(str(head) for head in heads), *(str(f.relative_to(probes)) for f in files)])
    for word in ("MILLER", "lesion", "phantom", "repeat", "stack", "sheet", "probe"):
        assert word not in whole, word
    lengths = {len(frames) for frames in find_series(probes / "images").series.values()}
    assert lengths == {1, 4}
    assert find_key(probes / "images") == probes


def lost(k, image):
    return None if k == 3 else image


def twice(k, image):
    if k == 1:
        image.save_as(twice.out / "again.img")
    return image


def cropped(k, image):
    if k == 2:
        image.PixelData = image.pixel_array[2:, :].astype("<i2").tobytes()
        image.Rows -= 2
    return image


def turned(k, image):
    if k == 2:
        image.PixelData = image.pixel_array[::-1, ::-1].astype("<i2").tobytes()
    return image


def without_rescale(k, image):
    del image.RescaleSlope
    return image


def rescale_of_others(k, image):
    image.RescaleSlope = 1.0
    return image


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lost, r"expected \d+ slices of \d+ x \d+ pixels, got \d+; have every probe"),
        (twice, r"expected \d+ slices of \d+ x \d+ pixels, got \d+; have every probe"),
        (cropped, r"expected 0 slices of \d+ x \d+ pixels, got 1|expected \d+ slices"),
        (turned, r"expected every slice to be a probe, got 002\.img, which is like none"),
        (without_rescale, "expected Rescale Slope and Intercept, got none"),
        (rescale_of_others, r"expected HU, got values that are about 2 x HU \+"),
    ],
)
def test_what_cannot_be_matched_is_refused_in_a_sentence(probes, tmp_path, write, message):
    twice.out = tmp_path / "back"
    with pytest.raises(ValueError, match=message) as said:
        import_probes(probes, vendor(probes, tmp_path / "back", write=write))
    assert "\n" not in str(said.value)


def test_a_fault_of_the_vendor_is_found_through_the_exchange(probes, tmp_path):
    """8 HU more than a vendor who changes nothing: bias, and nothing refused."""
    same, more = (
        numbers(import_probes(probes, vendor(probes, tmp_path / f"{hu}", change=lambda x: x + hu)))  # noqa: B023  # called at once
        for hu in (0.0, 8.0)
    )
    assert more["bias in soft tissue"] - same["bias in soft tissue"] == pytest.approx(8, abs=0.01)
    assert more["noise left"] == pytest.approx(1.0, abs=0.02)


def images(noise=40.0):
    """One object under two noises, and the object alone."""
    rng = np.random.default_rng(2)
    clean = np.zeros((64, 64))
    clean[20:40, 20:40] = 200.0
    return clean, [clean + ct_noise(rng, clean.shape, sd_hu=noise) for _ in range(2)]


def answers(hus, names, tmp_path):
    return [
        Answer(np.asarray(hu, np.float32), tmp_path / f"{k}.dcm", frozenset({name}))
        for k, (hu, name) in enumerate(zip(hus, names, strict=True))
    ]


def test_pixels_tell_repeats_apart_and_identifiers_where_they_cannot(tmp_path):
    clean, (a, b) = images()
    nine = [clean + 0.1 * (image - clean) for image in (a, b)]  # nine tenths of noise removed
    back = answers(nine[::-1], ["new1", "new2"], tmp_path)
    found = match_images([a, b], ["A", "B"], back)
    np.testing.assert_allclose(found[0], nine[0], atol=1e-3)
    rng = np.random.default_rng(3)
    drawn = [clean + rng.normal(0, 1, clean.shape) for _ in range(2)]  # nothing of theirs is left
    told = match_images([a, b], ["A", "B"], answers(drawn, ["B", "A"], tmp_path))
    np.testing.assert_allclose(told[0], drawn[1], atol=1e-3)
    with pytest.raises(ValueError, match=r"told apart, got \d\.dcm and \d\.dcm"):
        match_images([a, b], ["A", "B"], answers(drawn, ["new1", "new2"], tmp_path))


def test_a_recorder_keeps_each_image_once_and_answers_come_back_as_asked():
    recorder = ProbeRecorder()
    pair = np.arange(2 * 16).reshape(2, 4, 4) / 3
    recorder.alone(np.concatenate([pair, pair]))
    assert len(recorder.images) == 2
    asked = {(4, 4): np.stack(recorder.images)}
    replay = ProbeAnswers(asked, {(4, 4): asked[4, 4] + 100})
    np.testing.assert_allclose(replay.alone(pair[::-1]), np.rint(pair[::-1]) + 100)
    with pytest.raises(ValueError, match="probes are of another version of ctlab"):
        replay.alone(pair + 7)


def test_a_folder_without_its_key_is_refused(probes, tmp_path):
    shutil.copytree(probes / "images", tmp_path / "images")
    with pytest.raises(ValueError, match=r"with key\.json and key\.npz, got .* without key\.json"):
        import_probes(tmp_path, tmp_path / "images")
    with pytest.raises(ValueError, match="beside images, got 0"):
        find_key(tmp_path / "images")
    with pytest.raises(ValueError, match=r"0 < dose < 1 .* got 1 series, dose 1 and"):
        export_probes([patient()], tmp_path / "p", dose=1.0)
