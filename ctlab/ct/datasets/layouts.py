"""Known collections on disk as patients, arms and splits, whatever their folders look like.

``open_collection`` looks at one header per folder. Nothing is copied, and pixels are read only
when a scan is asked for its volume.
"""

import csv
import tomllib
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.ct.datasets.confounders import DomainFacts, arms_in_words
from ctlab.ct.dicom.discover import list_files
from ctlab.ct.dicom.header import Header, read_header
from ctlab.ct.dicom.read import read_series
from ctlab.ct.dicom.slice_order import reason_aside
from ctlab.ct.volume import Volume

_CASE_TABLES = ("Radiologist-S1.csv", "Clinical-S1.csv", "Clinical-S2.csv")
"""Tables of the IEEE collection with one row a case, whose name is in the first column."""


_MOST_ARMS = 4


@dataclass(frozen=True)
class Scan:
    """One series of one patient in one arm; ``labels`` hold 0 or 1 a slice, lowest z first.

    The order of labels is that of the collection: slices by Slice Location (0020,1041).
    """

    patient: str
    arm: str
    folder: Path
    series_uid: str
    exposure_mas: float | None = None
    ctdivol_mgy: float | None = None
    labels: tuple[int, ...] | None = None
    facts: dict[str, str] = field(default_factory=dict)  # "table: column" -> cell

    def read(self, **how: Any) -> Volume:
        """The scan in HU; ``how`` are keywords of :func:`ctlab.ct.read_series`."""
        return read_series(self.folder, series_uid=self.series_uid, **how)


@dataclass(frozen=True)
class Collection:
    """Scans of one collection, the published split where there is one, and what is missing."""

    kind: str
    scans: tuple[Scan, ...]
    split: dict[str, str] = field(default_factory=dict)  # patient -> train, val or test
    problems: tuple[str, ...] = ()

    @property
    def patients(self) -> list[str]:
        """Identifiers of all patients, sorted."""
        return sorted({s.patient for s in self.scans})

    @property
    def arms(self) -> dict[str, list[Scan]]:
        """Scans by arm."""
        grouped: dict[str, list[Scan]] = defaultdict(list)
        for scan in self.scans:
            grouped[scan.arm].append(scan)
        return dict(grouped)

    def pairs(self) -> list[tuple[Scan, Scan]]:
        """(full, low) scans of the patients that have both, by patient."""
        full = {s.patient: s for s in self.scans if s.arm == "full"}
        low = {s.patient: s for s in self.scans if s.arm == "low"}
        return [(full[p], low[p]) for p in sorted(full.keys() & low.keys())]


def open_collection(path: str | Path, *, kind: str | None = None) -> Collection:
    """The collection below ``path``.

    Parameters
    ----------
    kind : ``mayo``, ``lidc``, ``ieee-covid`` or ``folders``; recognised by its layout by default

    Returns
    -------
    Collection
        Its ``problems`` also say where two arms differ in kernel, scanner, tube voltage, field of
        view or spacing, so far as headers tell (:func:`ctlab.ct.confounds` for whole volumes). In
        plain folders with more than four arms these are taken for patients and not compared.

    Raises
    ------
    ValueError
        There is no CT series below the path, or the kind is unknown.
    """
    root = Path(path)
    kind = kind or recognise(root)
    if kind not in ("mayo", "lidc", "ieee-covid", "folders"):
        raise ValueError(f"kind must be mayo, lidc, ieee-covid or folders, got {kind!r}")
    heads = series_heads(root)
    collection = _opened(kind, root, heads)
    return replace(collection, problems=(*collection.problems, *_confounds(collection, heads)))


def _confounds(collection: Collection, heads: list["Head"]) -> list[str]:
    if len(collection.arms) > _MOST_ARMS:
        return []
    facts = {
        (h.folder, h.header.text("series_uid")): DomainFacts.of_header(h.header) for h in heads
    }
    return arms_in_words(
        {
            arm: [facts[s.folder, s.series_uid] for s in scans]
            for arm, scans in collection.arms.items()
        }
    )


def _opened(kind: str, root: Path, heads: list["Head"]) -> Collection:
    if kind == "ieee-covid":
        return ieee_covid(root, heads)
    if kind == "mayo":
        return _mayo(heads)
    arms = ["full" if kind == "lidc" else _top(h.folder, root) for h in heads]
    scans = [
        _scan(h.header, h.header.text("patient_id"), arm)
        for h, arm in zip(heads, arms, strict=True)
    ]
    return Collection(kind, tuple(scans))


def recognise(root: Path) -> str:
    """Kind of a collection by the names of its folders."""
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder; name the folder of a collection")
    names = {p.name for p in root.rglob("*") if p.is_dir()} | {root.name}
    if any(n.startswith(("COVID-S", "Normal-S")) or n.startswith("Dataset-S") for n in names):
        return "ieee-covid"
    if names & {"ldct_and_projection_data", "LDCT-and-Projection-data"}:
        return "mayo"
    if any(n.startswith("LIDC-IDRI-") or n == "lidc_idri" for n in names):
        return "lidc"
    return "folders"


@dataclass(frozen=True)
class Head:
    """One series in one folder: the header of its first CT slice by name, and how many there are.

    A folder may hold several series, and a slice that is damaged does not count.
    """

    folder: Path
    header: Header
    slices: int


def series_heads(root: Path) -> list[Head]:
    """The CT series of each folder below ``root``; localizers and captures are no slices.

    Raises
    ------
    ValueError
        There are none.
    """
    first: dict[tuple[Path, str], Header] = {}
    count: Counter[tuple[Path, str]] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in list_files(root):
            try:
                header = read_header(file)
            except ValueError:  # not DICOM, or damaged
                continue
            if not reason_aside(header):
                key = file.parent, header.text("series_uid")
                first.setdefault(key, header)
                count[key] += max(header.integer("frames", 1), 1)
    if not first:
        raise ValueError(f"{root} holds no folder with CT slices")
    return [Head(folder, header, count[folder, uid]) for (folder, uid), header in first.items()]


def _scan(head: Header, patient: str, arm: str, labels: tuple[int, ...] | None = None) -> Scan:
    return Scan(
        patient,
        arm,
        head.path.parent,
        head.text("series_uid"),
        tube_mas(head),
        head.number("ctdivol_mgy"),
        labels,
    )


def _top(folder: Path, root: Path) -> str:
    """First folder below the root: the arm of a plain collection."""
    parts = folder.relative_to(root).parts
    return parts[0] if parts else root.name


def tube_mas(head: Header) -> float | None:
    """Tube current times exposure time in mAs, or else the header's own Exposure."""
    current, duration = head.number("tube_current_ma"), head.number("exposure_time_ms")
    if current and duration:
        return current * duration / 1000
    return head.number("exposure_mas")


def benchmark_split() -> dict[str, str]:
    """Patient to ``train``, ``val`` or ``test``, as published with ldct-benchmark.

    Examples
    --------
    >>> split = benchmark_split()
    >>> split["C121"], sum(v == "train" and k[0] == "C" for k, v in split.items())
    ('test', 35)
    """
    text = (Path(__file__).parent / "ldct_benchmark_split.toml").read_text(encoding="utf-8")
    return {
        patient: key.split("_")[0]
        for key, patients in tomllib.loads(text).items()
        for patient in patients
    }


def _mayo(heads: list[Head]) -> Collection:
    """IDC and TCIA layouts alike: the arm is in the series description, else in the folder."""
    scans, problems = [], []
    for item in heads:
        folder, head = item.folder, item.header
        said = f"{head.text('description')} {folder.name}".lower()
        arm = "low" if "low dose" in said else "full" if "full dose" in said else ""
        if not arm:
            problems.append(f"{folder.name}: neither full nor low dose by its description")
            continue
        scans.append(_scan(head, head.text("patient_id"), arm))
    arms = defaultdict(set)
    for scan in scans:
        arms[scan.patient].add(scan.arm)
    alone = sorted(p for p, have in arms.items() if len(have) == 1)
    if alone:
        problems.append(f"{len(alone)} patients have one dose only: {', '.join(alone[:5])}")
    published = benchmark_split()
    split = {p: published[p] for p in arms if p in published}
    return Collection("mayo", tuple(scans), split, tuple(problems))


def ieee_covid(root: Path, heads: list[Head]) -> Collection:
    """The IEEE DataPort low- and ultra-low-dose collection (COVID-19).

    Patients come from folders such as ``Dataset-S1/COVID-S1/C001`` (case letter C, N, or a
    group of Dataset-S2). Readers' and clinical tables become ``facts`` of a scan. The arm is the
    dose, ``low`` or ``ultra-low``: no table says it, so it is read from tube current times
    exposure time, and the cut lies in the widest gap of its logarithm over all cases. Labels
    come from ``LDCT-SL-Labels-S1.csv``.
    """
    problems: list[str] = []
    doses = {h.folder: tube_mas(h.header) for h in heads}
    cut = widest_gap([v for v in doses.values() if v])
    if cut is None:
        problems.append("exposure does not fall into two groups; all scans are called low dose")
    labels = _slice_labels(root, heads, problems)
    facts = _case_facts(root, heads, problems)
    scans = []
    for item in heads:
        folder = item.folder
        mas = doses[folder]
        if mas is None:
            problems.append(f"{folder.name}: no tube current and exposure time; called low dose")
        is_ultra = cut is not None and mas is not None and mas < cut
        arm = "ultra-low" if is_ultra else "low"
        # Numbers begin anew in every group, so the group belongs to the patient's name.
        patient = f"{folder.parent.name}/{folder.name}"
        scan = _scan(item.header, patient, arm, labels.get(folder.name))
        scans.append(replace(scan, facts=facts.get(folder, {})))
    return Collection("ieee-covid", tuple(scans), {}, tuple(problems))


def widest_gap(values: Iterable[float]) -> float | None:
    """Middle, on a logarithmic scale, of the widest gap; ``None`` if it is under a factor of 1.5.

    Examples
    --------
    >>> round(widest_gap([9, 10, 11, 90, 100]), 1)
    31.5
    >>> widest_gap([10, 11, 12]) is None
    True
    """
    logs = np.sort(np.log(np.asarray(list(values), float)))
    if logs.size < 2:
        return None
    k = int(np.argmax(np.diff(logs)))
    if logs[k + 1] - logs[k] < np.log(1.5):
        return None
    return float(np.exp((logs[k] + logs[k + 1]) / 2))


def _slice_labels(root: Path, heads: list[Head], problems: list[str]) -> dict[str, tuple[int, ...]]:
    """Labels of the COVID cases by case name, for the cases whose rows fit their slices."""
    tables = sorted(root.rglob("LDCT-SL-Labels-S1.csv"))
    if not tables:
        problems.append("LDCT-SL-Labels-S1.csv is missing: no slice labels")
        return {}
    cases = sorted((h for h in heads if h.folder.parent.name.startswith("COVID-S1")), key=_folder)
    rows = read_label_rows(tables[0])
    if len(rows) != len(cases):
        problems.append(
            f"{tables[0].name} has {len(rows)} rows for {len(cases)} COVID cases: no labels used"
        )
        return {}
    labels = {}
    for case, row in zip(cases, rows, strict=True):
        name = case.folder.name
        if len(row) != case.slices:
            problems.append(f"{name} has {case.slices} slices and {len(row)} labels: not used")
        else:
            labels[name] = row
    return labels


def _folder(head: Head) -> Path:
    return head.folder


def _case_facts(root: Path, heads: list[Head], problems: list[str]) -> dict[Path, dict[str, str]]:
    """Columns of the readers' and the clinical tables, by the folder of each case."""
    facts: dict[Path, dict[str, str]] = defaultdict(dict)
    for name in _CASE_TABLES:
        dataset = f"Dataset-{name[-6:-4]}"
        cases = {h.folder.name: h.folder for h in heads if dataset in h.folder.parts}
        if not cases:
            continue
        table = next(iter(sorted(root.rglob(name))), None)
        if table is None:
            problems.append(f"{name} is missing: its findings are unknown")
            continue
        with table.open(newline="", encoding="utf-8-sig") as handle:
            rows = list(csv.DictReader(handle))
        case_column = next(iter(rows[0]), "") if rows else ""
        known = {row[case_column].strip() for row in rows if row[case_column]}
        if unknown := sorted(known - cases.keys()):
            problems.append(f"{name} has {len(unknown)} rows without a case (first: {unknown[0]})")
        if lacking := sorted(cases.keys() - known):
            problems.append(f"{name} lacks {len(lacking)} cases (first: {lacking[0]})")
        for row in rows:
            folder = cases.get((row[case_column] or "").strip())
            if folder:
                kept = {k: v for k, v in row.items() if k and k != case_column and v}
                facts[folder] |= {f"{table.stem}: {k}": v.strip() for k, v in kept.items()}
    return facts


def read_label_rows(table: Path) -> list[tuple[int, ...]]:
    """Rows of 0 and 1; a header row, a first column of case names and empty cells are passed over.

    Raises
    ------
    ValueError
        A cell is neither 0 nor 1.
    """
    rows = []
    with table.open(newline="", encoding="utf-8-sig") as handle:
        for number, cells in enumerate(csv.reader(handle), 1):
            filled = [c.strip() for c in cells if c.strip()]
            if filled and not _is_number(filled[0]):
                filled = filled[1:]  # the name of the case
            if number == 1 and any(c not in ("0", "1", "0.0", "1.0") for c in filled):
                continue  # column names
            if any(c not in ("0", "1", "0.0", "1.0") for c in filled):
                bad = next(c for c in filled if c not in ("0", "1", "0.0", "1.0"))
                raise ValueError(f"{table.name}, row {number}: labels are 0 or 1, got {bad!r}")
            if filled:
                rows.append(tuple(int(float(c)) for c in filled))
    return rows


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
