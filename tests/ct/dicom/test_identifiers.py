"""Identifiers in every form in which people write them, known from any header of the folder."""

import unicodedata

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet

from ctlab.ct import deidentify_series, read_series
from ctlab.ct.dicom.identity.identifiers import (
    date_forms,
    holds_identifier,
    identifiers,
    plain_forms,
)
from tests.ct.conftest import ct_slice

pytestmark = pytest.mark.filterwarnings("ignore")  # names are put where codes belong

PATIENTS = {
    "umlauts": ("Müller^Jörg", ["B30 MUELLER", "B30 Muller", "MÜLLERkern", "xjoergx", "JORG"]),
    "decomposed umlauts": (unicodedata.normalize("NFD", "Müller^Jörg"), ["B30 MÜLLER", "Joerg"]),
    "written as two letters": ("Mueller^Joerg", ["B30 Müller", "Jörg"]),
    "sharp s": ("Weiß^A", ["WEISS", "weiß", "B30weissB"]),
    "strokes": ("Łukasz^Ødegård", ["LUKASZ", "Odegard", "OEDEGAARD"]),
    "ideographs": (
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ["B30 山田", "太郎", "山田太郎", "やまだ", "ヤマダ様 YAMADA", "tarou yamada"],
    ),
    "half-width kana": ("ﾔﾏﾀﾞ^ﾀﾛｳ", ["ヤマダ", "タロウ"]),
    "one ideograph each": ("李^明", ["B30 李", "明李", "李 明"]),
    "Korean": ("Hong^Gildong=洪^吉洞=홍^길동", ["홍", "길동 B30", "洪吉洞", "GILDONG"]),
    "Cyrillic": ("Иванов^Пётр", ["ИВАНОВ", "петр", "Пётр"]),
    "Arabic": ("قباني^نزار", ["قباني", "B30 نزار"]),
    "full width": ("ＤＯＥ^ＪＡＮＥ", ["DOE", "Jane"]),
    "two letters": ("Ng^Li", ["Ng Li", "LI, NG", "B30 ngli"]),
    "middle names": ("Doe^Jane^Quincy Xavier^Dr", ["QUINCY", "J. Xavier Doe", "Doe, Jane"]),
    "apostrophe": ("O'Brien-Smith^Ann", ["OBRIEN", "obriensmith", "O'Brien"]),
}


@pytest.fixture
def clean(tmp_path):
    """Slices written with their own change, and what de-identification leaves of the folder."""

    def make(*changes):
        for k, change in enumerate(changes):
            dataset = ct_slice(k)
            dataset.SpecificCharacterSet = "ISO_IR 192"
            change(dataset)
            place = tmp_path / "in" / f"{k}.dcm"
            place.parent.mkdir(exist_ok=True)
            dataset.save_as(place, enforce_file_format=True)
        report = deidentify_series(tmp_path / "in", tmp_path / "out", secret="s")
        assert report.files == len(changes) - len(report.left_out)
        return [pydicom.dcmread(f) for f in sorted((tmp_path / "out").iterdir())]

    return make


def kernel(text):
    return lambda dataset: setattr(dataset, "ConvolutionKernel", text)


def nobody(dataset):
    dataset.PatientName = dataset.PatientID = ""


@pytest.mark.parametrize("kind", PATIENTS)
def test_names_are_found_in_every_form(clean, kind, tmp_path):
    name, forms = PATIENTS[kind]

    def change(form):
        def put(dataset):
            dataset.PatientName = name
            dataset.ConvolutionKernel = dataset.PositionReferenceIndicator = form
            if form.isascii():
                dataset.ScanOptions = form[:16]

        return put

    made = clean(*map(change, forms))
    kept = [str(d.get(k, "")) for d in made for k in ("ConvolutionKernel", "ScanOptions")]
    assert set(kept) <= {"REMOVED", "", "None"}
    assert not any(d.PositionReferenceIndicator for d in made)
    for file, form in zip(sorted((tmp_path / "out").iterdir()), forms, strict=True):
        assert form.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("name", "text"),
    [("Ng^Li", "SAMPLING"), ("Tan^Lun", "STANDARD"), ("Roe^A", "B30f"), ("Li^Wu", "LIWUX")],
)
def test_technical_words_stay_beside_a_short_name(clean, name, text):
    (made,) = clean(lambda d: (setattr(d, "PatientName", name), kernel(text)(d)))
    assert made.ConvolutionKernel == text


DATES = (
    *("19600131", "1960-01-31", "31.01.1960", "31/01/60", "31 JAN 1960", "Jan 31 1960"),
    *("January 31, 1960", "31.1.1960", "1/31/1960", "1/31/60", "60-01-31", "31. Januar 1960"),
    *("31 janvier 1960", "B30 31JAN60", "x31011960x", "born 1960 Jan 31", "０１/31/1960"),
)


@pytest.mark.parametrize("date", DATES)
def test_a_birth_date_is_found_in_every_form(clean, date):
    def change(dataset):
        dataset.PatientBirthDate = "19600131"
        dataset.ConvolutionKernel = date[:16]
        dataset.DataCollectionDiameter = "310.0"  # not a part of any form

    (made,) = clean(change)
    assert made.ConvolutionKernel == "REMOVED"
    assert made.DataCollectionDiameter == 310


def test_a_date_has_no_forms_where_it_is_none():
    assert date_forms("1960") == date_forms("19601331") == date_forms("") == set()
    assert "110160" in date_forms("19600111")


@pytest.mark.parametrize(
    ("identifier", "text"),
    [
        ("0004711815", "unit 4711815"),
        ("AB-4711815/X", "4711815"),
        ("P 47.11.815", "B4711815f"),
        ("４７１１８１５", "4711815"),
        ("Zx9Q-77", "ZX9Q77"),
    ],
)
def test_numbers_of_records_are_found_within_words(clean, identifier, text):
    def change(dataset):
        dataset.PatientID = identifier
        dataset.ConvolutionKernel = text

    (made,) = clean(change)
    assert made.ConvolutionKernel == "REMOVED"


def test_a_number_of_a_record_is_no_number_of_an_image(clean):
    def change(dataset):
        dataset.PatientID, dataset.InstanceNumber, dataset.SliceLocation = "471181", 471181, 471181

    (made,) = clean(change)
    assert made.InstanceNumber is None
    assert made.SliceLocation is None
    assert made.ImagePositionPatient[2] == 10


def sealed(dataset):
    """A dose report, which is left out itself."""
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.67"
    item = Dataset()
    item.PersonName = "Kurzmann^Anna"
    dataset.ContentSequence = [item]
    dataset.OtherPatientIDs = "4711815"


@pytest.mark.parametrize("text", ["B30 KURZMANN", "kernel4711815"])
def test_what_another_file_of_the_folder_says_is_known(clean, text):
    first, second = clean(
        lambda d: (nobody(d), kernel(text)(d)), sealed, lambda d: (nobody(d), kernel("B30f")(d))
    )
    assert first.ConvolutionKernel == "REMOVED"
    assert second.ConvolutionKernel == "B30f"


def test_what_the_same_patient_is_called_in_another_folder_is_known(tmp_path):
    for k, (name, text) in enumerate([("Fox^Dana", "B30f"), ("", "B30 FOX")]):
        dataset = ct_slice(k)
        dataset.PatientName, dataset.ConvolutionKernel = name, text
        (tmp_path / "in" / str(k)).mkdir(parents=True)
        dataset.save_as(tmp_path / "in" / str(k) / "a.dcm", enforce_file_format=True)
    deidentify_series(tmp_path / "in", tmp_path / "out")
    made = [pydicom.dcmread(f).ConvolutionKernel for f in sorted((tmp_path / "out").iterdir())]
    assert made == ["B30f", "REMOVED"]


def test_what_the_index_of_a_medium_says_is_known(tmp_path):
    files = FileSet()
    dataset = ct_slice(0)
    dataset.PatientName, dataset.PatientID, dataset.StudyID = "Fox^Dana", "P 1", "1"
    dataset.StudyDate, dataset.StudyTime, dataset.SeriesNumber = "20200101", "101010", 1
    files.add(dataset)
    files.write(tmp_path / "cd")
    files._stage["t"].cleanup()  # pydicom leaves it to the garbage collector, which warns
    (image,) = (f for f in (tmp_path / "cd").rglob("*") if f.is_file() and f.name != "DICOMDIR")
    dataset.PatientName, dataset.ConvolutionKernel = "", "B30 FOX"  # as a tool left it
    dataset.save_as(image, enforce_file_format=True)
    deidentify_series(tmp_path / "cd", tmp_path / "out")
    assert pydicom.dcmread(tmp_path / "out" / "IM00001.dcm").ConvolutionKernel == "REMOVED"


def test_enhanced_ct_keeps_what_is_technical_and_loses_a_name_in_any_frame(make_enhanced, tmp_path):
    def change(dataset):
        dataset.PatientName = "Kurzmann^Anna"
        for k, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            item = Dataset()
            item.ConvolutionKernel = "B45 kurzmann"
            item.ReconstructionAlgorithm = ["FILTER_BACK_PROJ", "ANNA", "ITERATIVE"][k]
            frame.CTReconstructionSequence = [item]
        del dataset.SharedFunctionalGroupsSequence[0].CTReconstructionSequence

    path = make_enhanced([0, 1, 2], change)
    before = read_series(path)
    deidentify_series(path.parent, tmp_path / "out")
    (file,) = (tmp_path / "out").iterdir()
    assert not {b"kurzmann", b"anna"} & {
        w for w in (b"kurzmann", b"anna") if w in file.read_bytes().lower()
    }
    frames = pydicom.dcmread(file).PerFrameFunctionalGroupsSequence
    kept = [(f.CTReconstructionSequence[0]) for f in frames]
    assert [k.ConvolutionKernel for k in kept] == ["REMOVED"] * 3
    assert kept[1].ReconstructionAlgorithm == "FILTER_BACK_PROJ"
    after = read_series(tmp_path / "out")
    assert np.array_equal(after.hu, before.hu)
    assert (after.acquisition.kvp, after.acquisition.tube_current_ma) == (100, 101)


def test_forms_of_letters():
    assert plain_forms("Straße") == {"strasse"}
    assert plain_forms("Å") == {"a", "aa"}


ALPHABET = "abdefgjkmoprstuvzäöüßøåéčžАБВгдеёنزارقب山田洪吉김やまダ"
LETTERS = st.text(st.sampled_from(ALPHABET), min_size=3, max_size=9)


@given(
    LETTERS,
    LETTERS,
    st.sampled_from(["{f} {g}", "{g}, {f}", "{f}{g}", "B30{f}", "{g}.{f}x", "q_{f}_30"]),
    st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]),
    st.sampled_from([str.upper, str.lower, str.title, str]),
)
@settings(max_examples=150, deadline=None)
def test_any_name_is_found_in_any_form_order_and_case(family, given_name, form, unicode_form, case):
    header = Dataset()
    header.PatientName = f"{family}^{given_name}"
    text = case(unicodedata.normalize(unicode_form, form.format(f=family, g=given_name)))
    other = Dataset()
    with pydicom.config.disable_value_validation():
        other.ConvolutionKernel = text
    assert holds_identifier(other["ConvolutionKernel"], identifiers(header))
    other.ConvolutionKernel = "Q30"
    assert not holds_identifier(other["ConvolutionKernel"], identifiers(header))
