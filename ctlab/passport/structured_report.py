"""A passport's numbers as a DICOM structured report, filed beside the series it was made of.

Each check is one measurement with its limit and result, after the measurement report of TID 1500
(DICOM PS3.16), by highdicom. The report says that it is not for diagnosis.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctlab import __version__
from ctlab.ct.dicom.header import read_dataset
from ctlab.files import write_whole
from ctlab.passport.document import Passport

SCHEME = "99CTLAB"
_UCUM = {"HU": ("[hnsf'U]", "Hounsfield unit"), "": ("1", "no units")}
_RESULT = {True: "Passed", False: "Failed", None: "Not made"}


def write_structured_report(passport: Passport, path: str | Path, series: Sequence[Path]) -> Path:
    """Writes the checks that gave a number as a Comprehensive SR; its path.

    Parameters
    ----------
    passport : of one denoiser
    path : of the file, ``.dcm``; replaced where it is there
    series : files of the series that was examined; they are the evidence, and lend patient and
        study

    Raises
    ------
    ValueError
        No check gave a number, or there is no file of a series.

    Notes
    -----
    Names are codes of this kit (``99CTLAB``); units are UCUM's, with what is counted in braces.
    """
    from highdicom.sr import (
        CodedConcept,
        ComprehensiveSR,
        DeviceObserverIdentifyingAttributes,
        MeasurementReport,
        MeasurementsAndQualitativeEvaluations,
        ObservationContext,
        ObserverContext,
        TrackingIdentifier,
    )
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    rows = [row for row in passport.checks if row["value"] is not None]
    if not rows or not series:
        raise ValueError(
            f"expected a passport with numbers and the files of a series, got {len(rows)} numbers "
            f"and {len(series)} files; run ctlab passport on a series first"
        )
    evidence = [read_dataset(file, pixels=False) for file in series]
    device = DeviceObserverIdentifyingAttributes(
        uid=generate_uid(prefix=None),
        manufacturer_name="CT Lab contributors",
        model_name=f"CT Lab {__version__}",
    )
    observer = ObserverContext(
        observer_type=codes.DCM.Device, observer_identifying_attributes=device
    )
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=generate_uid(prefix=None),
            identifier=f"Passport of {passport.facts.get('denoiser', 'a denoiser')}"[:64],
        ),
        measurements=[_measurement(row) for row in rows],
        qualitative_evaluations=[_result(row) for row in rows],
    )
    report = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=CodedConcept("DENOISER", SCHEME, "Examination of a denoiser"),
        imaging_measurements=[group],
        title=codes.DCM.ImagingMeasurementReport,
    )
    document = ComprehensiveSR(
        evidence=evidence,
        content=report[0],
        series_instance_uid=generate_uid(prefix=None),
        series_number=9200,
        sop_instance_uid=generate_uid(prefix=None),
        instance_number=1,
        manufacturer="CT Lab contributors",
        is_complete=True,
        series_description="CT Lab passport: not for diagnosis",
    )
    with write_whole(path) as part:
        document.save_as(part, enforce_file_format=True)
    return Path(path)


def _concept(name: str) -> Any:
    """Code of a check: the same name gives the same code."""
    from highdicom.sr import CodedConcept

    return CodedConcept(hashlib.sha256(name.encode()).hexdigest()[:12], SCHEME, name[:64])


def _measurement(row: dict[str, Any]) -> Any:
    from highdicom.sr import CodedConcept, Measurement

    unit = row["unit"]
    value, meaning = _UCUM.get(unit, (f"{{{unit.replace(' ', '_')[:14]}}}", unit[:64]))
    return Measurement(
        _concept(row["name"]), float(row["value"]), CodedConcept(value, "UCUM", meaning)
    )


def _result(row: dict[str, Any]) -> Any:
    from highdicom.sr import QualitativeEvaluation

    said = f"{_RESULT[row['passed']]}: {row['limit']}"
    return QualitativeEvaluation(_concept(f"Limit of {row['name']}"), _concept(said))
