"""Known collections on disk as patients, arms and splits, whatever their folders look like.

``open_collection`` looks at one header per folder. Nothing is copied, and pixels are read only
when a scan is asked for its volume.
"""

import csv
import tomllib
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ctlab.ct.dicom import read_series
from ctlab.ct.discover import list_files
from ctlab.ct.header import Header, read_header
from ctlab.ct.series import reason_aside
from ctlab.ct.volume import Volume


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

    def read(self) -> Volume:
        """The scan in HU."""
        return read_series(self.folder, series_uid=self.series_uid)


@dataclass(frozen=True)
class Collection:
    """Scans of one collection, the published split where there is one, and what is missing."""

    kind: str
    scans: tuple[Scan, ...]
    split: dict[str, str] = field(default_factory=dict)  # patient -> train, val or test
    problems: tuple[str, ...] = ()

    @property
    def patients(self) -> list[str]:
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

    Raises
    ------
    ValueError
        There is no CT series below the path, or the kind is unknown.
    """
    root = Path(path)
    kind = kind or recognise(root)
    if kind == "ieee-covid":
        return ieee_covid(root)
    if kind not in ("mayo", "lidc", "folders"):
        raise ValueError(f"kind must be mayo, lidc, ieee-covid or folders, got {kind!r}")
    heads = series_heads(root)
    if kind == "mayo":
        return _mayo(heads)
    arm_of = (lambda folder: "full") if kind == "lidc" else (lambda folder: _top(folder, root))
    scans = [_scan(head, head.text("patient_id"), arm_of(folder)) for folder, head in heads]
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


def series_heads(root: Path) -> list[tuple[Path, Header]]:
    """One header for each folder and series of CT slices below ``root``."""
    found: dict[tuple[Path, str], Header] = {}
    folders = {file.parent for file in list_files(root)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for folder in sorted(folders):
            head = first_slice(folder)
            if head is not None:
                found[folder, head.text("series_uid")] = head
    if not found:
        raise ValueError(f"{root} holds no folder with CT slices")
    return [(folder, head) for (folder, _), head in found.items()]


def first_slice(folder: Path) -> Header | None:
    """Header of the first CT slice of a folder, by name; ``None`` if it holds none."""
    for file in sorted(f for f in folder.iterdir() if f.is_file()):
        try:
            head = read_header(file)
        except ValueError:  # not DICOM, or damaged: the next file may serve
            continue
        if not reason_aside(head):
            return head
    return None


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


def _mayo(heads: list[tuple[Path, Header]]) -> Collection:
    """IDC and TCIA layouts alike: the arm is in the series description, else in the folder."""
    scans, problems = [], []
    for folder, head in heads:
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


def ieee_covid(root: Path) -> Collection:
    """The IEEE DataPort low- and ultra-low-dose collection (COVID-19).

    Patients come from folders such as ``Dataset-S1/COVID-S1/C001`` (case letter C, N, or a
    group of Dataset-S2). The arm is the dose, ``low`` or ``ultra-low``: no table says it, so it
    is read from tube current times exposure time, and the cut lies in the widest gap of its
    logarithm over all cases. Labels come from ``LDCT-SL-Labels-S1.csv``.
    """
    heads = series_heads(root)
    problems: list[str] = []
    doses = {folder: tube_mas(head) for folder, head in heads}
    cut = widest_gap([v for v in doses.values() if v])
    if cut is None:
        problems.append("exposure does not fall into two groups; all scans are called low dose")
    labels = _slice_labels(root, heads, problems)
    scans = []
    for folder, head in heads:
        mas = doses[folder]
        if mas is None:
            problems.append(f"{folder.name}: no tube current and exposure time; called low dose")
        is_ultra = cut is not None and mas is not None and mas < cut
        arm = "ultra-low" if is_ultra else "low"
        # Numbers begin anew in every group, so the group belongs to the patient's name.
        patient = f"{folder.parent.name}/{folder.name}"
        scans.append(_scan(head, patient, arm, labels.get(folder.name)))
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


def _slice_labels(
    root: Path, heads: list[tuple[Path, Header]], problems: list[str]
) -> dict[str, tuple[int, ...]]:
    """Labels of the COVID cases by case name, for the cases whose rows fit their slices."""
    tables = sorted(root.rglob("LDCT-SL-Labels-S1.csv"))
    if not tables:
        problems.append("LDCT-SL-Labels-S1.csv is missing: no slice labels")
        return {}
    cases = sorted(folder for folder, _ in heads if folder.parent.name.startswith("COVID-S1"))
    rows = read_label_rows(tables[0])
    if len(rows) != len(cases):
        problems.append(
            f"{tables[0].name} has {len(rows)} rows for {len(cases)} COVID cases: no labels used"
        )
        return {}
    labels = {}
    for folder, row in zip(cases, rows, strict=True):
        slices = sum(1 for f in folder.iterdir() if f.is_file())
        if len(row) != slices:
            problems.append(f"{folder.name} has {slices} slices and {len(row)} labels: not used")
        else:
            labels[folder.name] = row
    return labels


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


@dataclass(frozen=True)
class DomainFacts:
    """What two unpaired domains must share so that dose is the only difference."""

    kernel: str
    scanner: str
    kvp: str
    pixel_mm: float
    slice_mm: float
    field_mm: float

    @classmethod
    def of(cls, volume: Volume) -> "DomainFacts":
        facts = volume.acquisition
        z, y, x = volume.spacing_mm
        scanner = f"{facts.manufacturer} {facts.model}".strip() or "unknown"
        kvp = f"{facts.kvp:g}" if facts.kvp else "unknown"
        kernel = facts.kernel or "unknown"
        return cls(kernel, scanner, kvp, float(np.sqrt(y * x)), z, volume.shape[2] * x)


def confounds(
    first: Iterable[Volume | DomainFacts], second: Iterable[Volume | DomainFacts]
) -> list[str]:
    """Properties other than dose in which two unpaired domains differ, in words.

    A network that learns to turn one domain into the other would learn these instead of noise.
    Kernel, scanner and tube voltage count as different when more than half of the series would
    have to change domain to even them out; pixel size, slice distance and field of view when
    their medians differ by more than a tenth.

    Raises
    ------
    ValueError
        A domain is empty.
    """
    one, two = (
        [v if isinstance(v, DomainFacts) else DomainFacts.of(v) for v in d] for d in (first, second)
    )
    if not one or not two:
        raise ValueError("each domain needs at least one series to be compared")
    found = []
    for name in ("kernel", "scanner", "kvp"):
        a, b = (Counter(getattr(f, name) for f in d) for d in (one, two))
        apart = sum(abs(a[k] / len(one) - b[k] / len(two)) for k in a | b) / 2
        if apart > 0.5:
            found.append(f"{name} differs: {_listed(a)} against {_listed(b)}")
    for name, what in (
        ("pixel_mm", "pixel size"),
        ("slice_mm", "slice distance"),
        ("field_mm", "field of view"),
    ):
        a_mm, b_mm = (float(np.median([getattr(f, name) for f in d])) for d in (one, two))
        if abs(a_mm / b_mm - 1) > 0.1:
            found.append(f"{what} differs: {a_mm:.3g} mm against {b_mm:.3g} mm")
    return found


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{k} ({n})" for k, n in counts.most_common(4))
