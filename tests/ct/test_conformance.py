"""Written series against the DICOM standard: dicom-validator finds no error.

The validator would fetch the standard from the network; here it gets the CT Image IOD from a
table in ``tests/data``. Conditions are not in that table, so attributes of type 1C and 2C count
as optional; everything mandatory, empty, nested or not allowed is checked.
"""

import json
import logging
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_validator.validator.dicom_info import DicomInfo
from dicom_validator.validator.iod_validator import IODValidator
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.uid import CTImageStorage

from ctlab.ct import (
    Derivation,
    Volume,
    deidentify_series,
    load_sample,
    write_series,
)
from ctlab.ct.dicom.write import NOISE_ADDED

TABLE = Path(__file__).parents[1] / "data" / "ct_image_iod.json"


def attributes(table):
    """Attributes of the table in the validator's own form."""
    found = {}
    for tag, entry in table.items():
        kind, items = entry if isinstance(entry, list) else (entry, {})
        name = f"({tag[:4].upper()},{tag[4:].upper()})"
        found[name] = {"name": keyword_for_tag(tag) or tag, "type": kind}
        if kind.endswith("C"):
            found[name]["cond"] = {"type": "U"}
        if items:
            found[name]["items"] = attributes(items)
    return found


@pytest.fixture(scope="module")
def standard():
    modules = json.loads(TABLE.read_text())["modules"]
    dictionary = {}
    for _, content in modules.values():
        for name, entry in attributes(content).items():
            tag = int(name[1:5] + name[6:10], 16)
            dictionary[name] = {"name": entry["name"], "vr": _representation(tag)}
    iod = {
        name: {"ref": name, "use": use} | ({"cond": {"type": "U"}} if use == "C" else {})
        for name, (use, _) in modules.items()
    }
    return DicomInfo(
        dictionary,
        {CTImageStorage: {"title": "CT Image IOD", "modules": iod, "group_macros": {}}},
        {name: attributes(content) for name, (_, content) in modules.items()},
    )


def _representation(tag):
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def errors(path, standard):
    """Findings of the validator as "module: attribute: what"."""
    dataset = pydicom.dcmread(path)
    result = IODValidator(dataset, standard, log_level=logging.CRITICAL).validate()
    return [
        f"{module}: {keyword_for_tag(tag.tag)}: {error.code.name}"
        for module, found in result.module_errors.items()
        for tag, error in found.items()
    ]


def phantom():
    return Volume(np.full((2, 16, 16), -1000, np.float32), (2.5, 0.7, 0.7))


@pytest.mark.parametrize("make", [phantom, lambda: load_sample().slices(20, 21)])
@pytest.mark.parametrize("compression", ["none", "jpeg-ls"])
def test_written_series_have_no_error(make, compression, standard, tmp_path):
    made = Derivation("Simulated", code=NOISE_ADDED)
    path = write_series(
        make(), tmp_path / "out", description="D", derivation=made, compression=compression
    )[0]
    assert errors(path, standard) == []


def test_deidentified_series_have_no_error(standard, tmp_path):
    write_series(phantom(), tmp_path / "in", description="D")
    deidentify_series(tmp_path / "in", tmp_path / "out")
    assert errors(tmp_path / "out" / "IM00001.dcm", standard) == []


@pytest.mark.parametrize("keyword", ["ImageType", "PixelSpacing", "StudyDate", "RescaleSlope"])
def test_the_validator_would_notice(keyword, standard, tmp_path):
    path = write_series(phantom(), tmp_path / "out", description="D")[0]
    dataset = pydicom.dcmread(path)
    del dataset[keyword]
    dataset.save_as(path)
    assert any(keyword in error for error in errors(path, standard))
