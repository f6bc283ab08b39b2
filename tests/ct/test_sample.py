"""The packaged sample is the published series, and the nodule is where we say."""

import numpy as np
import pytest

from ctlab.ct import (
    SAMPLE_CREDIT,
    SAMPLE_NODULE,
    load_sample,
    read_series,
    write_sample,
)
from ctlab.ct.datasets.sample import SAMPLE_FOLDER


@pytest.fixture(scope="module")
def sample():
    return load_sample()


def test_facts_of_the_published_series(sample):
    assert sample.shape == (40, 512, 512)
    assert sample.spacing_mm == pytest.approx((2.5, 0.703125, 0.703125))
    assert sample.origin_mm[2] == -165.0
    assert (sample.hu.min(), sample.hu.max()) == (-2048, 3071)
    facts = sample.acquisition
    assert facts.series_uid.endswith("720603192")
    assert (facts.kvp, facts.tube_current_ma, facts.kernel) == (120, 400, "STANDARD")
    assert facts.patient_id == "LIDC-IDRI-0001"


def test_the_nodule_is_soft_tissue_in_lung(sample):
    z, y, x = SAMPLE_NODULE.centre
    radius = SAMPLE_NODULE.diameter_mm / 2 / sample.spacing_mm[1]
    core = sample.hu[z, y - 5 : y + 6, x - 5 : x + 6]
    assert 0 < core.mean() < 100
    rows, columns = np.ogrid[:512, :512]
    away = np.hypot(rows - y, columns - x)
    ring = sample.hu[z][(away > 1.2 * radius) & (away < 1.6 * radius)]
    assert np.median(ring) < -600
    half_height = SAMPLE_NODULE.diameter_mm / 2 / sample.spacing_mm[0]
    assert sample.hu[z + round(half_height) + 2, y, x] < -600
    assert sample.hu[z - round(half_height) - 2, y, x] < -600


def test_the_sample_is_copied_with_its_licence(tmp_path):
    assert write_sample(tmp_path / "s") == 40
    assert "10.7937/K9/TCIA.2015.LO9QL9SX" in (tmp_path / "s" / "LICENSE.md").read_text()
    assert "CC BY 3.0" in SAMPLE_CREDIT
    assert read_series(tmp_path / "s").shape == (40, 512, 512)
    with pytest.raises(ValueError, match="not empty"):
        write_sample(tmp_path / "s")


def test_it_is_compressed_without_loss():
    import pydicom
    from pydicom.uid import JPEGLSLossless

    file = min(SAMPLE_FOLDER.glob("*.dcm"))
    dataset = pydicom.dcmread(file)
    assert dataset.file_meta.TransferSyntaxUID == JPEGLSLossless
    assert "LossyImageCompression" not in dataset
