"""The study protocol: what is shown to whom, what is asked, and how it will be analysed."""

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from ctlab.ct.hu import WINDOWS
from reader_study.design.analysis import Analysis, Model
from reader_study.design.overlay import Overlay, OverlayKind, check_overlay
from reader_study.design.strict import FolderName, Name, Strict, Text
from reader_study.design.trust import Trust

FORMAT_VERSION = 1

Drag = Literal["window", "scroll", "zoom", "pan"]
MarkKind = Annotated[Text, StringConstraints(max_length=40)]


class Ethics(Strict):
    """Approval of the study, and the consent that readers give on the first page."""

    reference: str = ""
    consent: str = ""


class Population(Strict):
    """Who was scanned, and what readers are told about them."""

    description: str = ""
    reference_standard: str = ""
    prevalence_told: str = ""
    incidental_findings: str = ""


class Design(Strict):
    """Layout, randomisation and what readers may do."""

    layout: Literal["pair", "flicker", "single"] = "pair"
    readers: int = Field(default=4, ge=1, le=500)
    sessions: int = Field(default=1, ge=1, le=20)
    repeats: float = Field(default=0.1, ge=0, le=0.5)
    catch_trials: int = Field(default=2, ge=0, le=50)
    patient_gap_trials: int = Field(default=3, ge=0, le=50)
    longest_side_run: int = Field(default=4, ge=2, le=20)
    cases_per_reader: int | None = Field(default=None, ge=2)
    anchor_cases: int = Field(default=0, ge=0)
    washout_days: float = Field(default=28, ge=0, le=730)
    undo: Literal["none", "last", "session"] = "last"
    break_after_minutes: float = Field(default=25, gt=0, le=600)
    answer_delay_ms: int = Field(default=350, ge=0, le=10_000)  # after new images are painted
    idle_minutes: float = Field(default=30, gt=0, le=600)  # then the reader is logged out
    display_check: bool = True
    mark_difference: bool = False  # after the questions on a pair, a drag where images differ
    own_results: bool = True  # readers see agreement with repeats, side and pace at the end
    texture: Literal["as-made", "matched"] = "as-made"

    @property
    def is_paired(self) -> bool:
        """Two images belong to one trial, side by side or in one place by turns."""
        return self.layout != "single"


class NamedWindow(Strict):
    """A display window that the protocol offers beside lung, mediastinum and bone."""

    name: Annotated[Text, StringConstraints(max_length=20)]
    level_hu: float = Field(ge=-4096, le=8192)
    width_hu: float = Field(ge=1, le=8192)


class Mouse(Strict):
    """What dragging does with each button of the mouse, until a reader chooses otherwise."""

    left: Drag = "window"
    middle: Drag = "pan"
    right: Drag = "zoom"


class View(Strict):
    """How images are first shown, and what readers may do with them."""

    window: Text = "lung"
    windows: tuple[NamedWindow, ...] = ()
    modes: tuple[Literal["pair", "flicker", "wipe", "difference"], ...] = ("pair", "flicker")
    display_filter: Literal["catmull-rom", "mitchell", "linear", "nearest"] = "catmull-rom"
    image_names: Literal["letters", "sides"] | None = None  # None: as the questions call them
    mouse: Mouse = Mouse()
    hu_values: bool = True  # HU under the pointer, mean and SD in a circle
    keep: tuple[Literal["window", "zoom"], ...] = ()  # from pair to pair
    opens_at: Literal["middle", "difference"] = "middle"  # slice first shown
    cine_per_s: float = Field(default=8, ge=1, le=30)
    flicker_hz: float = Field(default=2, ge=0.5, le=3)  # WCAG 2.3.1: at most three flashes

    @model_validator(mode="after")
    def _window_is_known(self) -> "View":
        known = [*WINDOWS, *(window.name for window in self.windows)]
        twice = sorted({name for name in known if known.count(name) > 1})
        if twice:
            raise ValueError(f"view.windows must have names of their own, twice: {twice[0]}")
        if self.window not in known:
            raise ValueError(f"view.window must be one of {', '.join(known)}; got {self.window!r}")
        return self


class Arm(Strict):
    """One way of making the images; its series lie in ``arms/<name>/<case>/``."""

    name: Name
    description: str = ""
    reference: bool = False
    images: Name | None = None  # folder of its series in arms/; its own name if not given
    overlay: OverlayKind | None = None  # map over the images, of overlays/<case>

    @property
    def folder(self) -> str:
        """Folder of its series below ``arms/``."""
        return self.images or self.name


class Case(Strict):
    """One examination, or a slab of it, shown once per comparison."""

    name: FolderName
    patient: Text
    stratum: Name = "all"
    series: FolderName | None = None  # folder inside each arm; the case's own name if not given
    slices: tuple[int, int] | None = None  # first, one past the last
    practice: bool = False
    feedback: str = ""
    lesions: tuple["Lesion", ...] = ()
    overlay_right: bool = True  # its own map points to what is there; decided before reading

    @model_validator(mode="after")
    def _slices_run_forward(self) -> "Case":
        if self.slices and not 0 <= self.slices[0] < self.slices[1]:
            raise ValueError(
                f"slices must be [first, one past the last] with first < last, got "
                f"{list(self.slices)}"
            )
        return self

    @property
    def folder(self) -> str:
        """Name of its series inside each arm."""
        return self.series or self.name


class Lesion(Strict):
    """Known lesion: centre in voxels (z, y, x) of the whole series."""

    centre_zyx: tuple[float, float, float]
    diameter_mm: float = Field(gt=0)
    kind: str = ""


class Item(Strict):
    """One question with anchored answers."""

    name: Name
    kind: Literal["preference", "scale", "choice", "slider", "length"]
    question: Text
    answers: tuple[Text, ...] = ()
    ties: bool = True
    about: Literal["pair", "each"] = "pair"
    marks: tuple[MarkKind, ...] = ()  # kinds of marks readers may set with this question

    @model_validator(mode="after")
    def _answers_fit_the_kind(self) -> "Item":
        if self.kind == "preference" and self.answers:
            raise ValueError(
                "a preference has the answers left, right and (with ties = true) no "
                "preference; remove answers"
            )
        if self.kind in {"scale", "choice"} and not 2 <= len(self.answers) <= 9:
            raise ValueError(
                f"a {self.kind} needs 2 to 9 written answers, one per number key, got "
                f"{len(self.answers)}"
            )
        if self.kind == "slider" and len(self.answers) != 2:
            raise ValueError("a slider needs two answers: the wording at 0 and the wording at 100")
        if self.kind == "length" and self.answers:
            raise ValueError("a length is answered in mm, with the calliper; remove answers")
        if self.kind == "preference" and self.about == "each":
            raise ValueError('a preference is about the pair; remove about = "each"')
        return self


class Guess(Strict):
    """Question over the last images of a session that shows whether one arm is told by sight."""

    arm: Name
    question: Text


class Protocol(Strict):
    """A whole protocol, checked for what its parts owe each other."""

    format_version: Literal[1] = 1
    title: Text
    language: Name = "en"
    ethics: Ethics = Ethics()
    population: Population = Population()
    design: Design = Design()
    view: View = View()
    overlay: Overlay | None = None
    arms: tuple[Arm, ...] = Field(min_length=2)
    cases: tuple[Case, ...] = Field(min_length=2)
    items: tuple[Item, ...] = Field(min_length=1)
    guess: Guess | None = None
    trust: Trust | None = None
    model: Model | None = None
    analysis: Analysis

    @model_validator(mode="after")
    def _parts_agree(self) -> "Protocol":
        for kind in ("arms", "cases", "items"):
            names = [part.name for part in getattr(self, kind)]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{kind} must have different names; twice: {', '.join(twice)}")
        known = [item.name for item in self.items]
        if self.analysis.primary_item not in known:
            raise ValueError(
                f"analysis.primary_item must be one of the items ({', '.join(known)}), got "
                f"{self.analysis.primary_item!r}"
            )
        arms = [arm.name for arm in self.arms]
        self._check_analysis(known, arms)
        if self.guess and self.guess.arm not in arms:
            raise ValueError(f"guess.arm must be one of {', '.join(arms)}; got {self.guess.arm!r}")
        if self.trust and self.trust.asked.language != self.language:
            raise ValueError(
                f"the statements of [trust] are in {self.trust.asked.language!r} and the room in "
                f"{self.language!r}; give a translation as [trust.scale], with its own source"
            )
        self._check_model(arms)
        self._check_layout()
        self._check_subset()
        sliders = [item.name for item in self.items if item.kind == "slider"]
        with_map = any(arm.overlay for arm in self.arms)
        check_overlay(self.overlay, with_map, self.design.layout, sliders)
        return self

    def _check_model(self, arms: list[str]) -> None:
        if (self.model is None) != (self.analysis.endpoint != "ai"):
            raise ValueError(
                'a [model] with its scores and endpoint = "ai" belong together; add the other, or '
                "remove this one"
            )
        if self.model is None:
            return
        if self.model.arm not in arms or self.model.name in arms:
            raise ValueError(
                f"model.arm must be one of the arms ({', '.join(arms)}) and model.name none of "
                f"them; got {self.model.arm!r} and {self.model.name!r}"
            )
        unscored = [c.name for c in self.reading_cases if c.name not in self.model.scores]
        if unscored:
            raise ValueError(
                f"model.scores must hold every case that is read; {len(unscored)} are missing, "
                f"the first is {unscored[0]!r}"
            )

    def _check_analysis(self, items: list[str], arms: list[str]) -> None:
        for pair in self.analysis.comparisons:
            if pair.new not in arms or pair.reference not in arms or pair.new == pair.reference:
                raise ValueError(
                    f"analysis.comparisons compares two of the arms ({', '.join(arms)}); got "
                    f"{pair.new} against {pair.reference}"
                )
        strangers = sorted(set(self.analysis.lower_is_better) - set(items))
        if strangers:
            raise ValueError(f"analysis.lower_is_better names no item: {', '.join(strangers)}")

    def _check_layout(self) -> None:
        layout = self.design.layout
        if self.design.mark_difference and not self.design.is_paired:
            raise ValueError("mark_difference needs two images; use layout pair or flicker")
        if self.design.is_paired:
            if layout not in self.view.modes:
                raise ValueError(
                    f'view.modes must hold "{layout}", the layout in which images are first shown; '
                    f"got {list(self.view.modes)}"
                )
            return
        pairwise = [i.name for i in self.items if i.kind == "preference" or i.about == "each"]
        if pairwise:
            raise ValueError(
                f"items {', '.join(pairwise)} compare two images but layout is single; use "
                'layout = "pair", or ask a scale'
            )
        once = self.overlay is not None and self.design.sessions == 1
        if self.design.sessions != len(self.arms) and not once:
            raise ValueError(
                f"with layout = single every case is seen once per session in another arm: set "
                f"sessions = {len(self.arms)} (the number of arms), got {self.design.sessions}"
            )

    def _check_subset(self) -> None:
        per_reader, n_cases = self.design.cases_per_reader, len(self.reading_cases)
        if n_cases < 2:
            raise ValueError("at least two cases must not be practice cases")
        if per_reader is not None and per_reader > n_cases:
            raise ValueError(
                f"cases_per_reader is {per_reader}, but there are {n_cases} cases; lower it or "
                "leave it out, and every reader reads every case"
            )
        if self.design.anchor_cases > (per_reader or n_cases):
            raise ValueError("anchor_cases must not exceed cases_per_reader")
        if per_reader is not None:
            self._check_all_are_read(per_reader, n_cases)

    def _check_all_are_read(self, per_reader: int, n_cases: int) -> None:
        """With incomplete blocks every case has a reader; mirrored slots read the same cases."""
        anchors, readers = self.design.anchor_cases, self.design.readers
        blocks = -(-readers // 2) if self.design.is_paired else readers
        unread = n_cases - anchors - blocks * (per_reader - anchors)
        if unread > 0:
            raise ValueError(
                f"{unread} of {n_cases} cases would be read by nobody: {readers} readers take "
                f"{per_reader} cases each, {anchors} of them anchors that all read"
                + (", two of them the same cases mirrored" if self.design.is_paired else "")
                + "; raise readers or cases_per_reader"
            )

    @property
    def image_names(self) -> str:
        """``letters`` (image A, image B), or ``sides`` where a question says left or right image.

        Sides of a patient stay what they are: "left lung" is no name of an image.
        """
        sides = re.compile(r"\b(left|right)[ -](image|side|one|picture)\b", re.IGNORECASE)
        asked = [item.question + " ".join(item.answers) for item in self.items]
        asked += [self.guess.question] if self.guess else []
        named = "sides" if any(map(sides.search, asked)) else "letters"
        return self.view.image_names or named

    @property
    def map_sets(self) -> tuple[bool, ...]:
        """Which maps of a case are read: its own (False), and the other one (True)."""
        kinds = {arm.overlay for arm in self.arms if arm.overlay}
        return ((False,) if kinds else ()) + ((True,) if "other" in kinds else ())

    @property
    def reading_cases(self) -> tuple[Case, ...]:
        """Cases that are analysed."""
        return tuple(case for case in self.cases if not case.practice)


Case.model_rebuild()
