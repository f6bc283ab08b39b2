"""A demonstration study of maps over images, from the packaged chest CT: no torch.

Nodules are put into slabs of the sample and the dose is lowered. A map points to the nodule, or,
where its failure is planted, to another place; which map is right is known before anybody reads.
Simulated readers lean on maps by a rule, so what an analysis should find is known as well.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from ctlab.ct.volume import Volume
from ctlab.files import fresh_folder
from reader_study.examples.demo import DOSE, NOTE
from reader_study.stats.reliance.simulated import OverlayReaders

DIAMETER_MM, LESION_HU = 8.0, -450.0
SLICES = 2  # of a case
TITLE = "Demonstration: maps over images of a simulated ultra-low-dose chest CT"
_WRONG_EVERY = 4  # one map in so many misses, among cases with a nodule and among those without
CALLED_FROM = 3


@dataclass(frozen=True)
class MapsPlan:
    """Readers and cases of the demonstration; the first slab is for practice."""

    readers: int = 6
    cases: int = 16
    seed: int = 5
    truth: OverlayReaders = field(
        default_factory=lambda: OverlayReaders(right_helps=2.5, wrong_harms=2.5, anchored=0.3)
    )

    @property
    def own_right(self) -> float:
        """Share of the cases whose own map is right."""
        return float(np.mean([not c.map_fails for c in cases_of(self)[1:]]))


@dataclass(frozen=True)
class MapsCase:
    """A slab: whether it holds a nodule, whether its own map fails."""

    name: str
    nodule: bool
    map_fails: bool


def cases_of(plan: MapsPlan) -> list[MapsCase]:
    """Practice first; half of the cases with a nodule, one map in four of either half wrong."""
    rng = np.random.default_rng(plan.seed)
    kinds = [(k % 2 == 0, k // 2 % _WRONG_EVERY == 0) for k in range(plan.cases)]
    drawn = [kinds[k] for k in rng.permutation(len(kinds))]
    return [
        MapsCase(f"slab-{k}", nodule, fails)
        for k, (nodule, fails) in enumerate([(True, False), *drawn])
    ]


_PROTOCOL = """\
format_version = 1
title = "{title}"

[ethics]
consent = '''
This is a demonstration on a public CT scan (LIDC-IDRI-0001, CC BY 3.0). The dose is simulated, the
nodules are drawn, and so are the maps. Some maps point to the wrong place.
Answers stay on this computer.'''

[population]
description = "Slabs of one public patient; not a population, and no result is a finding"
prevalence_told = "About half of the images hold a nodule of {diameter_mm:g} mm."

[design]
layout = "single"
readers = {readers}
sessions = 1                    # each case once a reader, the maps changing over readers
repeats = 0
catch_trials = 0
patient_gap_trials = 0          # all slabs are of one patient
display_check = {display_check}

[view]
window = "lung"

[overlay]
design = "sequential"
confidence_item = "sure"

[[arms]]
name = "denoised"
reference = true

[[arms]]
name = "own-map"
images = "denoised"
overlay = "own"

[[arms]]
name = "shuffled-map"
images = "denoised"
overlay = "shuffled"

[[items]]
name = "nodule"
kind = "scale"
question = "Is there a nodule?"
answers = ["no", "rather no", "rather yes", "yes"]

[[items]]
name = "sure"
kind = "slider"
question = "How likely is that answer right, in per cent? 50 is a guess."
answers = ["0", "100"]

[trust]
set = "tpa"

[analysis]
primary_item = "nodule"
endpoint = "reliance"
called_from = {called_from}
comparisons = [{{ new = "own-map", reference = "shuffled-map" }}]
plan = "Right answers under own and shuffled maps, readers and cases random."
"""


def build_maps_demo(
    folder: str | Path,
    *,
    plan: MapsPlan | None = None,
    display_check: bool = True,
    passphrase: str | None = None,
) -> dict[str, str]:
    """Make, lock and staff the demonstration of maps; passphrase and code of its first reader.

    Raises
    ------
    ValueError
        The folder is not empty.
    """
    import secrets

    from ctlab.classic import denoise_classic
    from ctlab.ct import load_sample, measure_noise_hu, simulate_dose, write_series
    from reader_study.blinding.lock import lock_study
    from reader_study.record.coordinator import add_reader
    from reader_study.record.paths import refuse_used_folder

    refuse_used_folder(folder)
    plan = plan or MapsPlan()
    passphrase = passphrase or "-".join(secrets.token_hex(3) for _ in range(5))
    cases, rng = cases_of(plan), np.random.default_rng(plan.seed)
    sample = load_sample().slices(0, len(cases) * SLICES)
    places = [_places(sample, k, rng) for k in range(len(cases))]
    whole = sample
    for case, (place, _) in zip(cases, places, strict=True):
        if case.nodule:
            whole = _with_nodule(whole, place)
    low = simulate_dose(whole, DOSE, rng=rng)
    made = denoise_classic(low.hu, "bilateral", noise_sd_hu=measure_noise_hu(low))
    with fresh_folder(folder) as part:
        text = _protocol(plan, cases, places, display_check)
        (part / "protocol.toml").write_text(text, "utf-8")
        write_series(
            low.with_hu(made), part / "arms" / "denoised" / "chest", description="simulated dose"
        )
        (part / "overlays").mkdir()
        for k, (case, spots) in enumerate(zip(cases, places, strict=True)):
            drawn = _map(sample, k, case, spots, rng)
            np.savez_compressed(part / "overlays" / f"{case.name}.npz", signed=drawn)
    lock_study(folder, passphrase=passphrase)
    _, code = add_reader(folder, "demonstration reader")
    return {"passphrase": passphrase, "code": code}


def _with_nodule(volume: Volume, place: tuple[float, float, float]) -> Volume:
    from ctlab.ct.simulation.lesion import Lesion, insert_lesion

    return insert_lesion(volume, Lesion(place, DIAMETER_MM, LESION_HU))[0]


def _places(
    sample: Volume, case: int, rng: np.random.Generator
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Two places of plain lung in a slab, far from each other: of the nodule, and of a decoy."""
    from ctlab.ct.tissue import LUNG_ROI_HU

    first = case * SLICES
    smooth = ndimage.gaussian_filter(sample.hu[first], 1.5)
    low, high = LUNG_ROI_HU
    lung = ((smooth > low) & (smooth < high)).astype(float)
    radius = round(DIAMETER_MM / sample.spacing_mm[1])
    plain = np.argwhere(ndimage.uniform_filter(lung, 2 * radius + 1) > 0.9)
    one = plain[rng.integers(len(plain))]
    far = plain[np.hypot(*(plain - one).T) > 60 / sample.spacing_mm[1]]
    other = far[rng.integers(len(far))]
    z = first + (SLICES - 1) / 2
    return (z, float(one[0]), float(one[1])), (z, float(other[0]), float(other[1]))


def _map(
    sample: Volume,
    number: int,
    case: MapsCase,
    spots: tuple[tuple[float, float, float], tuple[float, float, float]],
    rng: np.random.Generator,
) -> np.ndarray:
    """Map of a slab, (z, y, x): faint clouds over the lungs, and a spot where it points.

    A map that is right points to the nodule, or to nothing where there is none; one that fails
    points to the decoy.
    """
    hu = sample.hu[number * SLICES : (number + 1) * SLICES]
    lungs = ndimage.gaussian_filter(hu, (0, 3, 3)) < -600
    clouds = ndimage.gaussian_filter(rng.standard_normal(hu.shape), (0, 8, 8))
    drawn = 0.3 * np.clip(clouds / clouds.std(), 0, None) * lungs
    if case.nodule or case.map_fails:
        _, y, x = spots[1] if case.map_fails else spots[0]
        rows, columns = np.indices(hu.shape[1:])
        reach = DIAMETER_MM / sample.spacing_mm[1]
        drawn = drawn + np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * reach**2))
    return np.asarray(drawn, np.float32)


def _protocol(plan: MapsPlan, cases: list[MapsCase], places: list[Any], display_check: bool) -> str:
    tables = []
    for k, (case, (place, _)) in enumerate(zip(cases, places, strict=True)):
        lines = [
            "[[cases]]",
            f'name = "{case.name}"',
            'patient = "LIDC-IDRI-0001"',
            'series = "chest"',
            f"slices = [{k * SLICES}, {(k + 1) * SLICES}]",
            f"overlay_right = {str(not case.map_fails).lower()}",
        ]
        if case.nodule:
            lines.append(
                f"lesions = [{{ centre_zyx = {list(place)}, diameter_mm = {DIAMETER_MM} }}]"
            )
        if k == 0:
            lines += ["practice = true", 'feedback = "Key H shows and hides the map."']
        tables.append("\n".join(lines) + "\n")
    head = _PROTOCOL.format(
        title=TITLE,
        readers=plan.readers,
        diameter_mm=DIAMETER_MM,
        display_check=str(display_check).lower(),
        called_from=CALLED_FROM,
    )
    return head + "\n" + "\n".join(tables)


def simulated_maps_demo(
    folder: str | Path, *, say: Callable[[str], None], plan: MapsPlan | None = None
) -> dict[str, Any]:
    """A study of maps without a person, up to its report; what was put in stands beside it.

    Returns
    -------
    dict
        ``analysis`` as written, and ``truth``, the difference between own and shuffled maps that
        the simulated readers have over all readers and cases.
    """
    from reader_study.examples.maps_readers import read_maps_by_simulated_readers
    from reader_study.examples.simulated_demo import closed_and_reported
    from reader_study.stats.reliance.simulated import true_contrast

    plan = plan or MapsPlan()
    say(f"Building a study of maps over images in {folder} (about a minute) ...")
    secret = build_maps_demo(folder, plan=plan)
    say("Simulated readers of known habits read it, then it is unblinded and analysed ...")
    read_maps_by_simulated_readers(
        folder,
        passphrase=secret["passphrase"],
        truth=plan.truth,
        rng=np.random.default_rng(plan.seed),
    )
    facts, files = closed_and_reported(folder, secret["passphrase"])
    truth = true_contrast(plan.truth, own_right=plan.own_right)
    row = facts["primary"][0]
    say(
        f"Own less shuffled maps: {100 * row['value']:+.0f} points "
        f"[{100 * row['low']:+.0f}, {100 * row['high']:+.0f}]; put in: {100 * truth:+.0f} points"
    )
    say(f"Report: {files[0]}")
    say("The answers are a simulation and no finding.")
    return {"analysis": facts, "truth": truth}


def open_maps_demo(
    folder: str | Path, *, port: int, browser: bool, say: Callable[[str], None]
) -> None:
    """Build the demonstration of maps for one reader, open its room, then tell what maps did."""
    from reader_study.examples.demo import is_handed_in, is_read
    from reader_study.record.paths import bundle_folder
    from reader_study.room.server import serve

    folder = Path(folder)
    note = folder / NOTE
    if bundle_folder(folder).exists():
        refuse_other_study(folder)
    else:
        say(f"Building a study of maps over images in {folder} (about a minute) ...")
        secret = build_maps_demo(folder, plan=MapsPlan(readers=1))
        note.write_text(f"{secret['code']}\n{secret['passphrase']}\n", "utf-8")
    code, passphrase = note.read_text("utf-8").splitlines()[:2]

    def ready(url: str) -> None:
        say(f"The reading room is open at {url}")
        say(f"Reader code: {code}")
        say("When you have handed in, it closes and says what you did with the maps.")
        say("Stop it with Ctrl-C; the same command goes on where reading stopped.")

    if not is_read(folder):
        serve(folder, port=port, open_browser=browser, ready=ready, until=is_handed_in)
    if is_read(folder):
        for line in own_use_of_maps(folder, passphrase):
            say(line)


def refuse_other_study(folder: Path) -> None:
    """Refuse a folder whose study is not this demonstration: it would be closed and unblinded.

    Raises
    ------
    ValueError
        The study is another one.
    """
    from reader_study.record.bundle import open_bundle
    from reader_study.record.paths import bundle_folder

    title = open_bundle(bundle_folder(folder)).facts["title"]
    if title != TITLE or not (folder / NOTE).exists():
        raise ValueError(
            f"expected a new folder or one of this demonstration, got the study {title!r} in "
            f"{folder}; name another folder"
        )


def own_use_of_maps(folder: str | Path, passphrase: str) -> list[str]:
    """What the one reader did with right and wrong maps, a line each; unblinds the study."""
    from reader_study.analysis.endpoints.assisted import assisted_answers
    from reader_study.analysis.tables import final_ratings, ratings_table
    from reader_study.blinding.unblind import unblind
    from reader_study.record.coordinator import close, status_of
    from reader_study.record.study_record import read_study, read_unblinded

    progress = status_of(read_study(folder))
    if not progress.closed:
        close(folder)
    if not progress.unblinded:
        unblind(folder, passphrase=passphrase, who="demonstration", reason="the reader's own")
    record = read_unblinded(folder)
    table = assisted_answers(record, final_ratings(ratings_table(record)))
    lines = []
    for kind, said in (("none", "without a map"), ("own", "own maps"), ("shuffled", "shuffled")):
        part = table[table["overlay"] == kind]
        first, final = int(part["first_right"].sum()), int(part["final_right"].sum())
        lines.append(f"{said}: {first} of {len(part)} right before, {final} after")
    return [*lines, "A handful of answers says little about you; the questions are the right ones."]
