"""A reader's own slice in the live figure: read in the page, checked, answered; or refused."""

import base64

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from ctlab.ct import check_applicability, describe_series, read_series
from ctlab.ct.series_facts import WORDS
from ctlab.learn import load_checkpoint
from ctlab.learn.inference import denoise_slices
from tests.browser import test_live
from tests.browser.test_live import answered, connect, figure

pytestmark = pytest.mark.browser

# The page, the scene and the networks of the live figure.
networks, scene, static = test_live.networks, test_live.scene, test_live.static
open_live = test_live.open_live


def write_dicom(path, hu, *, slope=1, intercept=-1024, signed=False, bits=16, syntax=None, **more):
    """One CT slice with pixels of 0.7 mm, 2.5 mm thick."""
    stored = np.rint((hu - intercept) / slope).astype("<i2" if signed else "<u2")
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset = Dataset()
    dataset.file_meta = meta
    facts = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": "1.2.3.4",
        "SeriesInstanceUID": "1.2.3",
        "StudyInstanceUID": "1.2",
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "Rows": hu.shape[0],
        "Columns": hu.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(signed),
        "PixelSpacing": [0.7, 0.7],
        "SliceThickness": 2.5,
        "ImagePositionPatient": [0, 0, 0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "RescaleSlope": slope,
        "RescaleIntercept": intercept,
        "ConvolutionKernel": "STANDARD",
        "PixelData": stored.tobytes(),
    }
    for name, value in {**facts, **more}.items():
        if value is not None:
            setattr(dataset, name, value)
    if syntax:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(scope="module")
def chest():
    """192 x 176 pixels: air with lung and noisy soft tissue, and a corner that no ray saw."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:192, :176]
    hu = np.where(np.hypot(y - 96, x - 50) < 36, -850.0, 45.0) + rng.normal(0, 40, (192, 176))
    return np.clip(np.rint(hu), -1000, 900)


def drop(page, path):
    """Drop a file onto the figure, and wait until it is read or refused."""
    page.evaluate(
        """([name, text]) => { const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
        const files = new DataTransfer(); files.items.add(new File([bytes], name));
        viewer.root.dispatchEvent(new DragEvent('drop', {dataTransfer: files, bubbles: true,
          cancelable: true})); }""",
        [path.name, base64.b64encode(path.read_bytes()).decode()],
    )
    page.wait_for_function("!viewer.own.words.textContent.startsWith('Reading')", timeout=60_000)
    return page.inner_text(".ctl-own p")


def own_figure(scene, **traits):
    card = load_checkpoint().card
    traits["applicability"] = {"range": card["range_of_use"], "words": dict(WORDS)}
    return figure(scene, offer=["network", "brush", "own"], **traits)


def test_a_file_is_read_as_the_kit_reads_it(open_live, scene, static, chest, tmp_path):
    """HU, facts and words about the range of use; nothing answers before the words are there."""
    page = open_live(own_figure(scene), static)
    high_bits = (np.uint16(0x3000) + (chest + 1024).astype("<u2")).tobytes()
    padded = chest.copy()
    padded[:20, :30] = -2000
    kinds = {
        "plain": {},
        "signed": {"signed": True, "slope": 2, "intercept": 0},
        "overlay": {"bits": 12, "PixelData": high_bits, "PhotometricInterpretation": "MONOCHROME1"},
        "beyond air": {"hu": padded, "signed": True, "intercept": 0, "PixelPaddingValue": -2000},
        "corner": {"hu": np.where(padded == -2000, -1024, padded), "PixelPaddingValue": 0},
        "fraction": {"slope": 0.5, "intercept": -1000.25},
        "jpeg-ls": {"syntax": JPEGLSLossless},
        "jpeg-2000": {"syntax": JPEG2000Lossless, "signed": True, "intercept": 0},
    }
    for name, made in kinds.items():
        options = {"hu": chest, **made}
        path = write_dicom(tmp_path / f"{name}.dcm", options.pop("hu"), **options)
        said = drop(page, path)
        found = page.evaluate("({hu: [...viewer.own.slice.hu], facts: viewer.own.slice.facts})")
        volume = read_series(path)
        np.testing.assert_allclose(found["hu"], volume.hu[0].ravel(), atol=1e-4, err_msg=name)
        wanted = describe_series(volume)
        for fact, value in found["facts"].items():
            assert value == pytest.approx(wanted[fact]), (name, fact)
        listed = page.locator(".ctl-own li").all_inner_texts()
        facts = {fact: wanted[fact] for fact in found["facts"]}
        checked = check_applicability(facts, load_checkpoint().card)
        assert listed == checked.sentences(), name
        assert ("outside the range of use" in said) == bool(checked.reasons), name
    assert page.evaluate("window.ctlabLiveEngine === undefined"), "looked at after a click only"


def test_in_a_notebook_the_kit_reads_the_file(open_live, scene, chest, tmp_path):
    viewer = own_figure(scene, denoise=lambda name, hu: hu - 1)
    page = open_live(viewer)
    connect(page, viewer)
    path = write_dicom(tmp_path / "own.dcm", chest, syntax=JPEGLSLossless)
    assert "outside the range of use" in drop(page, path)
    wanted, listed = describe_series(read_series(path)), page.locator(".ctl-own li")
    checked = check_applicability(wanted, load_checkpoint().card)
    assert listed.all_inner_texts() == checked.sentences()
    page.get_by_role("button", name="Look all the same").click()
    answered(page)
    top, left = page.evaluate("viewer.own.place")
    given = chest[top : top + 160, left : left + 160].astype(np.float32)
    made = page.evaluate("({given: [...viewer.last.composed.given], out: [...viewer.last.out]})")
    np.testing.assert_array_equal(made["given"], given.ravel())
    np.testing.assert_array_equal(made["out"], given.ravel() - 1)
    assert "goes to the kernel" in page.inner_text(".ctl-own p")
    (tmp_path / "cut.dcm").write_bytes(path.read_bytes()[:-9000])
    said = drop(page, tmp_path / "cut.dcm")
    assert "cut.dcm" in said
    assert str(tmp_path.parent) not in said
    assert "own-slice-" not in said


def test_outside_its_range_the_network_answers_after_a_click(
    open_live, scene, static, networks, chest, tmp_path
):
    page = open_live(own_figure(scene), static)
    said = drop(page, write_dicom(tmp_path / "wide.dcm", chest))
    assert "outside the range of use" in said
    assert "field of view" in page.inner_text(".ctl-own ul")
    assert page.evaluate("viewer.book === undefined")
    page.get_by_role("button", name="Look all the same").click()
    answered(page)
    made = page.evaluate("({given: [...viewer.last.composed.given], out: [...viewer.last.out]})")
    top, left = page.evaluate("viewer.own.place")
    given = chest[top : top + 160, left : left + 160].astype(np.float32)
    np.testing.assert_array_equal(made["given"], given.ravel())
    shown = page.evaluate("[...viewer.pixels.left]")
    np.testing.assert_array_equal(shown, given.ravel())
    wanted = denoise_slices(given[None], networks["shipped"])[0]
    np.testing.assert_allclose(made["out"], wanted.ravel(), atol=0.01)
    assert "Your slice" in page.locator(".ctv-label").first.inner_text()
    assert "Error to the truth" not in page.inner_text(".ctl-numbers")
    page.get_by_label("Window from above").focus()
    page.keyboard.press("Home")
    answered(page)
    assert page.evaluate("viewer.last.composed.given[0]") == chest[0, left]
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page, {"include": [[".ctv"]]}).response["violations"]
    assert [fault["id"] for fault in found] == []
    page.get_by_role("button", name="Back to the book's slice").click()
    answered(page)
    assert "10 % dose" in page.locator(".ctv-label").first.inner_text()


def test_what_is_no_slice_of_ct_gets_one_sentence(open_live, scene, static, chest, tmp_path):
    page = open_live(own_figure(scene), static)
    whole = write_dicom(tmp_path / "whole.dcm", chest).read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[:-9000])
    (tmp_path / "text.dcm").write_text("no image" * 40)
    (tmp_path / "head.dcm").write_bytes(whole[:300])
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "colour.png")
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "half.png")
    half = (tmp_path / "half.png").read_bytes()
    (tmp_path / "half.png").write_bytes(half[: len(half) // 2])
    faults = {
        "mr": ({"Modality": "MR"}, "expected a CT slice, got modality MR"),
        "scout": ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        "no-rescale": ({"RescaleSlope": None}, "no usable rescale"),
        "no-spacing": ({"PixelSpacing": None}, "Pixel Spacing"),
        "many": ({"NumberOfFrames": 3}, "expected one slice, got 3 frames"),
        "rle": ({"syntax": RLELossless}, "export it uncompressed"),
        "huge": ({"Rows": 60000}, "60000 x 176 pixels; its header is damaged"),
        "bits": ({"BitsStored": 20}, "expected pixels of 8 or 16 bits"),
        "cut": (None, "it is cut short"),
        "text": (None, "it is neither"),
        "head": (None, "it is cut short"),
    }
    for name, (made, words) in faults.items():
        path = tmp_path / f"{name}.dcm"
        said = drop(page, path if made is None else write_dicom(path, chest, **made))
        assert said.startswith(f"{name}.dcm: "), name
        assert words in said, said
        assert len(said) < 200, said
    assert "plain grey PNG" in drop(page, tmp_path / "colour.png")
    assert "cut short" in drop(page, tmp_path / "half.png")
    small = write_dicom(tmp_path / "small.dcm", chest[:16, :16])
    assert "at least 32 x 32 pixels" in drop(page, small)
    assert page.evaluate("window.ctlabLiveEngine === undefined && viewer.book === undefined")


@pytest.mark.parametrize("depth", [8, 16])
def test_a_picture_is_shown_with_what_its_reader_says_of_grey(
    open_live, scene, static, tmp_path, depth
):
    page = open_live(own_figure(scene), static)
    top = 2**depth - 1
    grey = np.random.default_rng(0).integers(0, top + 1, (60, 48)).astype(f"u{depth // 8}")
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert "grey, not HU" in drop(page, tmp_path / "grey.png")
    assert page.evaluate("viewer.book === undefined"), "asked first"
    page.get_by_label("Black is, HU").fill("200")
    page.get_by_role("button", name="Show it").click()
    assert "White must have more HU" in page.inner_text(".ctl-own p")
    page.get_by_label("Black is, HU").fill("-1000")
    page.get_by_label("White is, HU").fill("400")
    page.get_by_role("button", name="Show it").click()
    answered(page)
    given = page.evaluate("[...viewer.last.composed.given]")
    np.testing.assert_allclose(given, -1000 + 1400.0 * (grey.ravel() / top), atol=0.01)
    assert "Assumed: grey from −1000 to 400 HU" in page.inner_text(".ctl-own ul")
