"""Probes for a denoiser that runs elsewhere: written, processed there, read back.

:func:`export_probes` runs every check once and keeps what it would have asked: each image goes
into a DICOM series with a name that tells nothing. :func:`import_probes` finds each answer again
(:mod:`ctlab.passport.probe_match`) and runs the same checks on them. What cannot be asked that
way, the time it takes and its layers, is left out.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.console import Progress
from ctlab.ct import Acquisition, Volume, simulate_dose
from ctlab.ct.denoiser import Denoiser
from ctlab.ct.dicom.pixels.encode import stored_values
from ctlab.ct.dicom.write import Derivation, SeriesWriter
from ctlab.files import fresh_folder, write_json
from ctlab.input_files import check_keys, declared, read_arrays, read_json
from ctlab.passport import page
from ctlab.passport.document import Passport, measure, unexplained
from ctlab.passport.facts import code_hash, gather_facts
from ctlab.passport.limits import DEFAULT_LIMITS, Limit
from ctlab.passport.patient_scan import PatientScan
from ctlab.passport.probe_match import match_images, read_images

FORMAT_VERSION = 1
SHEET_PX = 512
"""Small images are put side by side into slices of this size: a product expects whole slices."""

LEAST_TILED = 16
"""From so many on, images of one size are put on sheets; fewer stand alone, without seams."""

README = """Send the folder "images" to whoever runs the denoiser; keep "key.json" and "key.npz".

Process every series of "images" like a patient's. Series of one slice are meant as they are.
Any file names, UIDs, order and rescale may come back, as DICOM, every slice once, and with as
many pixels as before. Then: ctlab passport THIS_FOLDER --import-probes PROCESSED
"""


@dataclass
class ProbeRecorder:
    """Stands for a denoiser: gives back what it is asked, and keeps it, HU as DICOM holds them.

    Attributes
    ----------
    stacks : list of neighbouring slices (z, y, x), int16
    images : list of single images (y, x), int16; each is kept once
    """

    stacks: list[np.ndarray] = field(default_factory=list)
    images: list[np.ndarray] = field(default_factory=list)
    _known: set[bytes] = field(default_factory=set, repr=False)

    def alone(self, images: np.ndarray) -> np.ndarray:
        """Images (n, y, x) that are no neighbours."""
        for image in in_hu(images):
            if (key := image.tobytes()) not in self._known:
                self._known.add(key)
                self.images.append(image)
        return np.asarray(images)

    def together(self, stack: np.ndarray) -> np.ndarray:
        """Neighbouring slices (z, y, x)."""
        found = in_hu(stack)
        if not any(np.array_equal(found, other) for other in self.stacks):
            self.stacks.append(found)
        return np.asarray(stack)


@dataclass(frozen=True)
class ProbeAnswers:
    """Stands for a denoiser: gives the answer that came back for an image it was asked before."""

    asked: Mapping[tuple[int, ...], np.ndarray]
    answered: Mapping[tuple[int, ...], np.ndarray]

    def alone(self, images: np.ndarray) -> np.ndarray:
        """Answers (n, y, x) to images that are no neighbours."""
        return np.stack([self._answer(image) for image in in_hu(images)])

    def together(self, stack: np.ndarray) -> np.ndarray:
        """Answer (z, y, x) to neighbouring slices."""
        return self._answer(in_hu(stack))

    def _answer(self, image: np.ndarray) -> np.ndarray:
        known = self.asked.get(image.shape, np.empty((0, *image.shape), np.int16))
        for k, other in enumerate(known):  # rounding may differ by 1 HU between machines
            near = other.flat[0] - image.flat[0] in (-1, 0, 1)
            if near and np.abs(other.astype(int) - image).max() <= 1:
                return np.asarray(self.answered[image.shape][k], np.float32)
        raise ValueError(
            f"expected an image of {image.shape} that is among the probes, got another; the probes "
            "are of another version of ctlab: export them anew"
        )


def in_hu(images: np.ndarray) -> np.ndarray:
    """HU rounded to whole numbers, int16, as DICOM holds them."""
    limits = np.iinfo(np.int16)
    held = np.clip(np.rint(images), limits.min + 1024, limits.max - 1024)
    return np.asarray(held.astype(np.int16))


def export_probes(
    volumes: Sequence[Volume],
    out: str | Path,
    *,
    dose: float = 0.1,
    slices: int = 12,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write the images that every check would ask for, and the key; how many slices there are.

    Parameters
    ----------
    volumes : one reference-dose series a patient; low dose is simulated, twice
    out : new folder; ``images`` in it goes to whoever runs the denoiser
    slices : neighbouring slices of each series, from its middle

    Raises
    ------
    ValueError
        No series, a dose outside (0, 1), fewer than 1 slice, or a folder that is not empty.
    """
    if not volumes or not 0 < dose < 1 or slices < 1:
        raise ValueError(
            f"expected 1 or more series, 0 < dose < 1 and 1 or more slices, got {len(volumes)} "
            f"series, dose {dose:g} and {slices} slices; correct what does not fit"
        )
    rng = np.random.default_rng(seed)
    recorder = ProbeRecorder()
    cut = [_middle(volume, slices) for volume in volumes]
    lows = [[simulate_dose(volume, dose, rng=rng).hu for _ in range(2)] for volume in cut]
    scans = [
        _scan(volume, pair, recorder.together, dose) for volume, pair in zip(cut, lows, strict=True)
    ]
    measure(
        scans,
        recorder.alone,
        together=recorder.together,
        seed=seed,
        progress=progress,
        offers=OFFERS,
    )
    sheets = _sheets(recorder.images)
    facts = {
        "format_version": FORMAT_VERSION,
        "code_sha256": code_hash(),
        "dose": dose,
        "seed": seed,
        "patients": [_stated(volume) for volume in volumes],
        "shapes": [image.shape for image in recorder.images],
    }
    with fresh_folder(out, overwrite=overwrite) as folder:
        series = [*recorder.stacks, *(sheet[None] for sheet in sheets)]
        names = _written(series, cut[0], folder / "images", seed)
        write_json(folder / "key.json", facts | {"series": names})
        arrays = {f"stack{k}": stack for k, stack in enumerate(recorder.stacks)}
        arrays |= {f"sheet{k}": sheet for k, sheet in enumerate(sheets)}
        arrays |= {f"full{k}": volume.hu for k, volume in enumerate(cut)}
        arrays |= {f"low{k}": np.stack(pair) for k, pair in enumerate(lows)}
        np.savez_compressed(folder / "key.npz", **arrays)  # type: ignore[arg-type]  # no bool is among them
        (folder / "README.txt").write_text(README, encoding="utf-8")
    return sum(len(stack) for stack in series)


OFFERS = frozenset({"answers", "repeats", "reference", "neighbours"})


def import_probes(
    probes: str | Path,
    processed: str | Path,
    *,
    name: str = "",
    limits: Mapping[str, Limit] = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> Passport:
    """Passport of a denoiser from the probes it processed elsewhere.

    Parameters
    ----------
    probes : folder of :func:`export_probes`, with its key
    processed : folder with what came back, any names, order, UIDs and rescale
    name : of the denoiser; default: that of the folder

    Raises
    ------
    ValueError
        The key is missing or of another version, slices are missing or too many, or an answer
        cannot be told from another.
    """
    facts, arrays = _read_key(Path(probes))
    key = Path(probes) / "key.json"
    with declared(key, *_KEY):
        check_keys(facts, _KINDS)
        keys = sorted((k for k in arrays if k.startswith(("stack", "sheet"))), key=_number)
        stacks = [a if a.ndim == 3 else a[None] for a in (arrays[k] for k in keys)]
        given = [image for stack in stacks for image in stack]
        uids = [uid for key in keys for uid in facts["series"][key]]
        volumes = [
            Volume(
                arrays[f"full{k}"],
                tuple(p["spacing_mm"]),
                acquisition=Acquisition(**p["acquisition"]),
            )
            for k, p in enumerate(facts["patients"])
        ]
        shapes = [tuple(shape) for shape in facts["shapes"]]
    answers = match_images(given, uids, read_images(processed))
    parts = np.split(np.arange(len(given)), np.cumsum([len(s) for s in stacks])[:-1])
    out = {k: np.stack([answers[i] for i in part]) for k, part in zip(keys, parts, strict=True)}
    dose, seed = facts["dose"], facts["seed"]
    with declared(key, *_KEY):
        replay = ProbeAnswers(*_by_shape(arrays, out, shapes))
        scans = [
            _scan(volume, arrays[f"low{k}"], replay.together, dose)
            for k, volume in enumerate(volumes)
        ]
    checks, tables = measure(
        scans,
        replay.alone,
        together=replay.together,
        limits=limits,
        seed=seed,
        progress=progress,
        offers=OFFERS,
    )
    denoiser = Denoiser(name or Path(processed).name, lambda hu, _mm: replay.alone(hu), "probes")
    stated = gather_facts(
        denoiser, volumes, scans[0], dose=dose, slices=len(scans[0].low), seed=seed
    )
    for head, patient in zip(stated["data"], facts["patients"], strict=True):
        head |= {name: patient[name] for name in ("shape", "sha256")}  # of the whole series
    note = "a map needs a denoiser that can be run here (--model or --exec)"
    pictures = page.views(scans[0]) | page.curves(tables)
    return Passport([*checks, unexplained(note, limits)], stated, tables, pictures)


def find_key(processed: str | Path) -> Path:
    """The folder of :func:`export_probes` that lies around, in or beside a processed one."""
    processed = Path(processed).resolve()
    near = [processed, *processed.parents[:2], *processed.parent.iterdir()]
    found = {folder for folder in near if (folder / "key.npz").is_file()}
    if len(found) != 1:
        raise ValueError(
            f"expected the folder of --export-probes beside {processed.name}, got {len(found)}; "
            "name it: ctlab passport PROBES --import-probes PROCESSED"
        )
    return found.pop()


def _stated(volume: Volume) -> dict[str, Any]:
    """What a passport states of a patient's whole series."""
    sha = hashlib.sha256(volume.hu.tobytes()).hexdigest()
    return {
        "spacing_mm": volume.spacing_mm,
        "acquisition": asdict(volume.acquisition),
        "shape": volume.shape,
        "sha256": sha,
    }


def _middle(volume: Volume, slices: int) -> Volume:
    count = min(slices, len(volume.hu))
    start = (len(volume.hu) - count) // 2
    cut = volume.slices(start, start + count)
    return replace(cut, hu=np.ascontiguousarray(cut.hu), sources=())


def _scan(full: Volume, pair: Any, together: Any, dose: float) -> PatientScan:
    """Neighbouring slices at low dose, twice, and both as they came back."""
    low, other = pair
    out, other_out = (together(hu) for hu in (low, other))
    scan = PatientScan(full, low, other, out, other_out, dose, float("nan"))
    return replace(scan, run=scan)


def _tiles(shape: tuple[int, ...], count: int) -> int:
    """How many images of a shape stand side by side on a sheet; 1 where they are few or large."""
    is_many = count >= LEAST_TILED and shape[0] == shape[1]
    return max(1, SHEET_PX // shape[0]) if is_many else 1


def _sheets(images: list[np.ndarray]) -> list[np.ndarray]:
    """Images of each shape tiled into sheets, the last one filled up with its first images."""
    sheets = []
    for shape in dict.fromkeys(image.shape for image in images):
        same = [image for image in images if image.shape == shape]
        across = _tiles(shape, len(same))
        for start in range(0, len(same), across**2):
            part = same[start : start + across**2]
            part += [part[k % len(part)] for k in range(across**2 - len(part))]
            grid = np.stack(part).reshape(across, across, *shape)
            sheets.append(grid.transpose(0, 2, 1, 3).reshape(across * shape[0], across * shape[1]))
    return sheets


def _by_shape(
    arrays: Mapping[str, np.ndarray], out: Mapping[str, np.ndarray], shapes: list[tuple[int, ...]]
) -> tuple[dict[tuple[int, ...], np.ndarray], dict[tuple[int, ...], np.ndarray]]:
    """Images asked and their answers, each by the shape of what was asked."""
    asked: dict[tuple[int, ...], Any] = {}
    answered: dict[tuple[int, ...], Any] = {}
    for key in sorted((k for k in arrays if k.startswith("stack")), key=_number):
        asked.setdefault(arrays[key].shape, []).append(arrays[key])
        answered.setdefault(arrays[key].shape, []).append(out[key])
    sheet = 0
    for shape in dict.fromkeys(shapes):
        count = shapes.count(shape)
        across = _tiles(shape, count)
        for start in range(0, count, across**2):
            pair = arrays[f"sheet{sheet}"], out[f"sheet{sheet}"][0]
            for found, image in zip((asked, answered), pair, strict=True):
                grid = image.reshape(across, shape[0], across, shape[1]).transpose(0, 2, 1, 3)
                tiles = grid.reshape(-1, *shape)[: count - start]
                found.setdefault(shape, []).extend(tiles)
            sheet += 1
    return ({k: np.stack(v) for k, v in d.items()} for d in (asked, answered))  # type: ignore[return-value]  # two of them


def _number(key: str) -> tuple[str, int]:
    return key[:5], int(key[5:])


def _written(
    series: list[np.ndarray], like: Volume, folder: Path, seed: int
) -> dict[str, list[str]]:
    """Write series under names that tell nothing, in random order; SOP Instance UIDs by series."""
    rng = np.random.default_rng([seed, 1])
    letters = np.array(list("ABCDEFGHJKLMNPQRSTUVWXYZ"))
    patient = "QC-" + "".join(rng.choice(letters, 6))
    facts = replace(like.acquisition, patient_id=patient, study_uid="", series_uid="")
    stacks = sum(len(stack) > 1 for stack in series)
    uids: dict[str, list[str]] = {}
    first_mm, study = 0.0, ""
    folder.mkdir()
    for number, k in enumerate(rng.permutation(len(series)), start=1):
        stack = series[k]
        volume = Volume(
            stack.astype(np.float32),
            like.spacing_mm,
            origin_mm=(-250.0, -250.0, first_mm),
            acquisition=replace(facts, study_uid=study, frame_of_reference_uid=""),
        )
        first_mm += (len(stack) + 1) * like.spacing_mm[0]
        made = Derivation("Test images for quality control, simulated; not a patient's scan")
        writer = SeriesWriter.of(volume, "CHEST", made, "none")
        study = writer.study_uid
        place = folder / f"S{number:03d}"
        place.mkdir()
        key = f"stack{k}" if k < stacks else f"sheet{k - stacks}"
        uids[key] = [_one(writer, place, i, image, number) for i, image in enumerate(stack)]
    return uids


def _one(writer: SeriesWriter, place: Path, k: int, image: np.ndarray, number: int) -> str:
    """Write one slice with what products choose their settings by; its SOP Instance UID."""
    dataset = writer.dataset(k, stored_values(image))
    facts = writer.geometry.acquisition
    dataset.PatientName, dataset.SeriesNumber = facts.patient_id, number
    dataset.BodyPartExamined = "CHEST"
    for keyword, value in (
        ("Manufacturer", facts.manufacturer),
        ("ManufacturerModelName", facts.model),
        ("ConvolutionKernel", facts.kernel),
        ("XRayTubeCurrent", facts.tube_current_ma and round(facts.tube_current_ma)),
    ):
        if value:
            setattr(dataset, keyword, value)
    dataset.save_as(place / writer.name(k), enforce_file_format=True)
    return str(dataset.SOPInstanceUID)


_KEY = "is no key of exported probes", "copy it again, or export them anew"
_KINDS = {"series": dict, "shapes": list, "patients": list, "dose": float | int, "seed": int}


def _read_key(probes: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        facts = read_json(probes / "key.json", *_KEY)
        arrays = read_arrays(probes / "key.npz", None, *_KEY)
    except FileNotFoundError as error:
        raise ValueError(
            f"expected the folder of --export-probes, with key.json and key.npz, got {probes} "
            f"without {Path(str(error.filename)).name}; name the folder that you kept"
        ) from None
    if facts.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{probes}: expected probes of format {FORMAT_VERSION}, got "
            f"{facts.get('format_version')}; export them anew"
        )
    return facts, arrays
