"""De-identify DICOM files after the basic profile of PS3.15, annex E.

Two layers. dicognito replaces UIDs, names, identifiers and shifts all dates of a run by one
secret offset, consistently over files. Then only elements on a list of technical attributes
remain: whatever is not known to be harmless is removed, private elements, overlays, free text
and file preamble included. A kept value that is no number where one belongs, or has more parts
than the standard allows, is removed, too. Pixels stay as they are; what their encoding carries
beside the image is blanked (:mod:`ctlab.ct.dicom.pixels.scrub`). At last, what is left is searched
for the patient's own identifiers.
"""

import re
import secrets
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

from ctlab.ct.dicom.discover import find_files
from ctlab.ct.dicom.frames import CT_ENHANCED
from ctlab.ct.dicom.header import NotDicom, read_dataset, read_header
from ctlab.ct.dicom.identity.identifiers import NUMBERS, KnownIdentifiers, holds_identifier
from ctlab.ct.dicom.kept_attributes import (
    EMPTIED,
    ENHANCED_DUMMIES,
    FREE_TEXT,
    HARMLESS,
    KEPT,
    TOP_ONLY,
    TYPE_2,
    TYPE_2_CLASSIC,
)
from ctlab.ct.dicom.media.dicomdir import is_index, patient_records
from ctlab.ct.dicom.pixels.scrub import scrub_pixels
from ctlab.ct.dicom.slice_order import NO_DATA, overwritten, reason_aside
from ctlab.ct.dicom.tags import code_item
from ctlab.files import fresh_folder, refuse_own_source

NOT_DICOM = "not DICOM"
"""Of files left out, those that were no images."""

_LARGEST = 1e7
"""No technical value is as large: it may be a date or a number of a record."""

_BYTES = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
_PROFILE = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)


@dataclass
class DeidentificationReport:
    """What was done to a folder.

    Attributes
    ----------
    files : files written
    removed : keyword or tag of each removed element, and in how many files it stood
    kept_text : keyword of each free text that stayed, and its values: look at them
    replaced : keyword of each element whose value was replaced, shifted or emptied, likewise
    left_out : files not written, with the reason; they may show names in their pixels
    warnings : what a person should look at
    """

    files: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, str] = field(default_factory=dict)
    kept_text: dict[str, list[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, done: "DeidentificationReport") -> None:
        """Count what was done to one more file; a warning is given once."""
        self.files += done.files
        self.removed += done.removed
        self.replaced += done.replaced
        for keyword, values in done.kept_text.items():
            known = self.kept_text.setdefault(keyword, [])
            known += [v for v in values if v not in known]
        self.warnings += [w for w in done.warnings if w not in self.warnings]

    def as_dict(self) -> dict[str, Any]:
        """Plain types, ready for JSON."""
        return asdict(self) | {"removed": dict(self.removed), "replaced": dict(self.replaced)}


def deidentify_series(
    path: str | Path, out: str | Path, *, overwrite: bool = False, secret: str | None = None
) -> DeidentificationReport:
    """Write de-identified copies of the CT images at ``path`` to ``out`` as ``IM00001.dcm``...

    Parameters
    ----------
    secret : decides new UIDs and the shift of dates; the same secret gives the same answer, so
        that follow-up scans stay together. Default: a random one that is kept nowhere.

    Raises
    ------
    ValueError
        Nothing there is a CT image, or ``out`` is not empty, or holds what is read. Where it lies
        below ``path``, what an earlier run wrote there is not read.

    Notes
    -----
    Descriptions, comments and names of protocols are removed, as the basic profile wants it where
    its Clean Descriptors option is not used. Six attributes of free text stay, for which the
    profile has no action: see ``kept_text`` of the report. Where one holds a word that identifies
    the patient, staff or site elsewhere in the header it is emptied; a name that stands nowhere
    else no program can tell from the name of a kernel, so look at what was kept.

    Dates move by 62 days to two years. Images marked as having text burned in, colour images
    and everything that is no CT slice are left out. Compressed pixels are copied as they are but
    for comments of the codec; RLE is encoded again, and pixels with an overlay in unused bits are
    written uncompressed, without it. What no program can see stays with the user: a name written
    with the tip of a pen into the image, or hidden in the values themselves.
    """
    from dicognito.anonymizer import Anonymizer

    refuse_own_source(path, out)
    report = DeidentificationReport()
    anonymizer = Anonymizer(seed=secret or secrets.token_hex(16))
    with warnings.catch_warnings(), fresh_folder(out, overwrite=overwrite) as part:
        warnings.simplefilter("ignore")  # about odd values, which are removed or kept as found
        files = _read_files(path, out, report)
        known = _known_identifiers(files, Path(path))
        for file in files:
            dataset, reason = _accepted(file)
            if dataset is None:
                report.left_out[_name(file, path)] = reason
                continue
            made = BytesIO()  # so that a full disk is not taken for a damaged source
            try:
                done = _scrub(dataset, anonymizer, known.of(file, dataset))
                dataset.save_as(made, enforce_file_format=True)
            except Exception as error:  # elements are parsed on first use, and may be damaged
                report.left_out[_name(file, path)] = (
                    f"damaged: {' '.join(str(error).split())[:200]}"
                )
                continue
            (part / f"IM{report.files + 1:05d}.dcm").write_bytes(made.getbuffer())
            report.add(done)
        others = [f for f in files if report.left_out.get(_name(f, path)) == NOT_DICOM]
        for file in overwritten(others, files):
            report.left_out[_name(file, path)] = NO_DATA
        if not report.files:
            firsts = {why: f"{name}: {why}" for name, why in reversed(report.left_out.items())}
            reasons = "; ".join([*firsts.values()][:3]) or "no DICOM files"
            raise ValueError(f"{path} holds no CT image that can be de-identified ({reasons})")
    return report


def _read_files(path: str | Path, out: str | Path, report: DeidentificationReport) -> list[Path]:
    """What is read: not what an earlier run wrote to ``out``, where that lies below ``path``.

    What is known to be missing is counted as left out.
    """
    written = Path(out).resolve()
    files, lost = find_files(path)
    for _, name, why in lost:
        known = report.left_out.get(name)
        report.left_out[name] = f"{known}; {why}" if known else why
    return [file for file in files if written not in file.resolve().parents]


def _known_identifiers(files: list[Path], root: Path) -> KnownIdentifiers:
    """What all headers say, also of files that are left out, and the indexes of media."""
    known = KnownIdentifiers()
    for file in files:
        try:
            known.add(file, read_dataset(file, pixels=False))
        except Exception:  # damage of any kind is said when the file is copied
            continue
    top = root if root.is_dir() else root.parent
    folders = {place for file in files for place in file.parents if place.is_relative_to(top)}
    for index in (file for folder in folders if folder.is_dir() for file in folder.iterdir()):
        for record in patient_records(index) if is_index(index.name) else ():
            known.add(index, record)
    return known


def _name(file: Path, path: str | Path) -> str:
    """A file by its place below what was named: names alone may occur twice."""
    return str(file.relative_to(path)) if file.is_relative_to(path) and file != path else file.name


def _accepted(file: Path) -> tuple[Any | None, str]:
    """The data set, or ``None`` and why it is left out."""
    try:
        header = read_header(file)
        reason = reason_aside(header)
        if header.text("burned_in").upper() == "YES":
            reason = "text is burned into the pixels"
        dataset = None if reason else read_dataset(file)
    except NotDicom:
        reason, dataset = NOT_DICOM, None
    except (ValueError, OSError) as error:
        reason, dataset = str(error), None
    return dataset, reason


def _scrub(dataset: Any, anonymizer: Any, names: frozenset[str]) -> DeidentificationReport:
    """De-identify one data set, which may hold these names, in place; what was done to it."""
    done = DeidentificationReport(files=1)
    done.removed.update(dict.fromkeys(_remove_unknown(dataset), 1))
    before = {element.keyword: str(element.value) for element in _short(dataset)}
    encoding = dataset.file_meta.get("TransferSyntaxUID")
    scrub_pixels(dataset)
    if dataset.file_meta.get("TransferSyntaxUID") != encoding:
        done.warnings.append(
            "unused bits of compressed pixels held an overlay: it was removed, and such pixels "
            "are written uncompressed"
        )
    anonymizer.anonymize(dataset)
    for keyword in EMPTIED:
        if keyword in dataset:
            setattr(dataset, keyword, None)
    for keyword in _blank_leaks(dataset, names):
        done.warnings.append(f"{keyword} held one of the patient's identifiers and was emptied")
    for element in _short(dataset):
        if before.get(element.keyword, str(element.value)) != str(element.value):
            done.replaced[element.keyword] += 1
    kept = {keyword: str(dataset.get(keyword) or "") for keyword in FREE_TEXT}
    done.kept_text = {keyword: [value] for keyword, value in kept.items() if value}
    _complete(dataset)
    _warn(dataset, done)
    _declare(dataset)
    return done


def _complete(dataset: Any) -> None:
    """Put back what the standard requires: empty where it may be, else a value of no meaning."""
    enhanced = dataset.get("SOPClassUID") in CT_ENHANCED
    if not enhanced and "BodyPartExamined" not in dataset:
        dataset.Laterality = None
    for keyword in TYPE_2 if enhanced else (*TYPE_2, *TYPE_2_CLASSIC):
        if keyword not in dataset:
            setattr(dataset, keyword, None)
    for keyword in ("ImageType", "Modality", "PhotometricInterpretation"):
        if not dataset.get(keyword):
            setattr(dataset, keyword, HARMLESS[keyword])
    if enhanced:
        _complete_enhanced(dataset)


def _complete_enhanced(dataset: Any) -> None:
    """What enhanced CT must have (PS3.3, C.7.6.16 and C.8.15), without what was removed."""
    for keyword, value in ENHANCED_DUMMIES.items():
        if not dataset.get(keyword):
            setattr(dataset, keyword, value)
    if len(dataset.ImageType) != 4:
        dataset.ImageType = HARMLESS["FrameType"]
    dataset.AcquisitionContextSequence = []
    for element in list(dataset.iterall()):
        if element.keyword == "PixelPresentation":  # palettes of colours are gone
            element.value = "MONOCHROME"
        elif element.keyword == "FrameContentSequence":
            for item in element.value:
                if "InStackPositionNumber" in item:
                    item.StackID = "1"  # free text before
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    if shared is not None:  # the part of the body is free text beside its code
        shared.FrameAnatomySequence = [_anywhere()]


def _anywhere() -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.FrameLaterality = "U"
    item.AnatomicRegionSequence = [code_item("38266002", "SCT", "Entire body")]
    return item


def _short(dataset: Any) -> list[Any]:
    return [e for e in dataset if e.VR not in ("SQ", *_BYTES)]


def _remove_unknown(dataset: Any, *, top: bool = True) -> list[str]:
    """Delete what is not on the list, at every depth; the keywords or tags deleted."""
    removed = []
    for element in list(dataset):
        keep = element.keyword in KEPT and not element.tag.is_private
        if keep and (top or element.keyword not in TOP_ONLY) and _fits(element, dataset):
            if element.VR == "SQ":
                for item in element.value:
                    removed += _remove_unknown(item, top=False)
        else:
            removed.append(element.keyword or str(element.tag))
            del dataset[element.tag]
    return removed


def _fits(element: Any, dataset: Any) -> bool:
    """Whether a value is of the kind and number that the standard asks for."""
    from pydicom.charset import python_encoding
    from pydicom.datadict import dictionary_VM, dictionary_VR

    if element.VR not in dictionary_VR(element.tag):  # "US or SS" names both
        return False
    if element.is_empty or element.VR in ("SQ", *_BYTES):
        return True
    values = element.value if element.VM > 1 else [element.value]
    most = dictionary_VM(element.tag).split("-")[-1]
    if not most.endswith("n") and len(values) > int(most):
        return False
    if element.keyword == "SpecificCharacterSet":
        return all(v in python_encoding for v in values)
    if element.VR in NUMBERS:
        return all(isinstance(v, int | float | Decimal) and _is_technical(float(v)) for v in values)
    if element.VR == "TM":  # shifted together with its date only
        return element.keyword.replace("Time", "Date") in dataset and _all(_TIME, values)
    return {"DA": _DATE, "DT": _DATE_TIME}.get(element.VR) is None or _all(
        {"DA": _DATE, "DT": _DATE_TIME}[element.VR], values
    )


def _is_technical(value: float) -> bool:
    return value == 0 or 1 / _LARGEST < abs(value) < _LARGEST


_DATE = re.compile(r"\d{4}\.?(0[1-9]|1[0-2])\.?(0[1-9]|[12]\d|3[01])")
_TIME = re.compile(r"([01]\d|2[0-3])(:?[0-5]\d(:?[0-5]\d(\.\d{1,6})?)?)?")
_DATE_TIME = re.compile(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{0,6}(\.\d{1,6})?([+-]\d{4})?")


def _all(pattern: re.Pattern[str], values: Any) -> bool:
    return all(pattern.fullmatch(str(v).strip()) for v in values)


def _blank_leaks(dataset: Any, names: frozenset[str]) -> list[str]:
    """Empty what remains and holds an identifier, within longer words too; keywords emptied."""
    leaks = []
    for element in list(dataset.iterall()):
        if element.VR in ("SQ", "UI", *_BYTES) or element.keyword in ("PatientName", "PatientID"):
            continue
        if holds_identifier(element, names):
            # Numbers and text that an image cannot do without get a value that says nothing.
            element.value = HARMLESS.get(element.keyword)
            leaks.append(element.keyword)
    return leaks


def _warn(dataset: Any, report: DeidentificationReport) -> None:
    part = str(dataset.get("BodyPartExamined") or "").upper()
    if any(word in part for word in ("HEAD", "BRAIN", "SKULL", "FACE", "NECK")):
        report.warnings.append(f"body part {part}: a face can be reconstructed from the slices")
    kind = str(dataset.get("ImageType") or "").upper()
    if "SECONDARY" in kind and not dataset.get("BurnedInAnnotation"):
        report.warnings.append(
            "derived images that do not say whether text is burned in: look at them"
        )


def _declare(dataset: Any) -> None:
    """Say in the header what was done, and clear what lies outside the data set proper."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "CT Lab: dicognito, then a list of kept attributes"
    dataset.DeidentificationMethodCodeSequence = [code_item(v, "DCM", m) for v, m in _PROFILE]
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"
    meta = FileMetaDataset()
    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    meta.TransferSyntaxUID = UID(syntax or _syntax(dataset))
    dataset.file_meta = meta
    dataset.preamble = b"\0" * 128


def _syntax(dataset: Any) -> str:
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian
