"""What a training run is: one TOML file, checked key by key, with the defaults kept here."""

import json
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ctlab.ct import HuScale

Fraction = Annotated[float, Field(gt=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(_Section):
    """Where the two unpaired domains come from, and how patches are drawn from them."""

    full: tuple[str, ...] = ("sample",)
    """Routine-dose series: folders of DICOM files, or ``sample`` for the packaged one."""
    series: tuple[str, ...] = ()
    """Series Instance UIDs, or their last characters, for folders that hold several series."""
    allow_gaps: bool = False
    """Also train on series with missing slices or uneven spacing."""
    allow_tilt: bool = False
    """Also train on slices of a tilted gantry, one by one as they are."""
    straighten: bool = False
    """Resample the slices of a tilted gantry upright."""
    low: tuple[str, ...] = ()
    """Low-dose series of *other* patients. Empty: low dose is simulated from part of ``full``."""
    doses: tuple[Fraction, ...] = (0.05, 0.1, 0.25)
    """Dose fractions at which the low domain is simulated; unused where ``low`` is given."""
    leave_out: tuple[tuple[int, int], ...] = ()
    """Slice ranges [first, last] of each series that no domain may come near (test slices)."""
    first: Literal["full", "low"] = "low"
    """Domain of the first patient or slab; they alternate from there."""
    phantoms: Annotated[int, Field(ge=0, multiple_of=2)] = 0
    """Computed chests of random anatomy, each a patient: they alternate between the domains too."""
    phantom_slices: int = Field(default=6, ge=1)
    nodule_share: float = Field(default=0.0, ge=0, le=1)
    """Probability that a patch with lung gets computed nodules, solid and ground-glass, drawn for
    either domain by itself (:mod:`ctlab.learn.data.nodule_augmentation`). Without any, a denoiser
    trained on lungs
    that hold no ground glass erases it."""
    paired: Literal["none", "full", "all"] = "none"
    """Which slabs are also simulated at low dose *in place*, giving pairs. ``full`` is the known
    degradation of ``ot1``, ``all`` feeds a supervised network; neither is unpaired any more."""
    slab_slices: int = Field(default=7, ge=1)
    gap_slices: int = Field(default=10, ge=10)
    """Unused slices between two slabs, and between a slab and a range left out."""
    seed: int = Field(default=0, ge=0)
    """Seed of the simulated dose reduction."""


class Networks(_Section):
    """Shapes of the networks."""

    generator: Literal["unet", "invertible", "switchable", "redcnn"] = "unet"
    """``invertible`` preserves means of 8 x 8 pixels and has an exact inverse, untrained or not;
    ``switchable`` denoises and degrades by one trunk whose code is the strength; ``redcnn`` is
    the convolution-deconvolution network of the supervised baseline."""
    slices: Literal[1, 3] = 1
    """3: the denoiser sees the slices above and below, too ("2.5-D")."""
    width: int = Field(default=32, ge=4, le=1024)
    attention: Literal["none", "gate", "cbam"] = "none"
    degrader: Literal["noise", "reconstruction", "spectrum", "unet", "simulator", "none"] = "noise"
    """``noise`` adds learned, signal-dependent, correlated noise; ``reconstruction`` the same
    within what filtered back-projection allows (:mod:`ctlab.learn.models.fbp_noise`); ``spectrum``
    Gaussian noise of a learned radial spectrum, spread of anisotropy and curve of the level
    (:mod:`ctlab.learn.models.spectral_noise`); ``unet`` is deterministic; ``simulator`` is the
    dose simulation itself (needs ``data.paired``); ``none`` goes one way."""
    noise_kernels: int = Field(default=16, ge=1, le=1024)
    noise_kernel_px: int = Field(default=25, ge=3, le=513)
    noise_ramp: bool = False
    """Noise has the spectrum that a reconstruction's ramp filter gives it, times a learned one.
    False, as in checkpoints from before this key; the recipes set it."""
    noise_curve: Literal["measured"] | tuple[tuple[float, float], ...] = "measured"
    """With ``reconstruction`` or ``spectrum``: how the level of the noise follows the
    surroundings. ``measured``: by :func:`ctlab.learn.models.fbp_noise.measure_noise_curve` in the
    two domains of the run, before its first step; the checkpoint holds the curve. Points (mean HU
    around, noise SD over that in soft tissue) are taken as they are; an empty list leaves the
    level free."""
    noise_spectrum: Literal["measured"] | tuple[float, ...] = "measured"
    """With ``spectrum``: the logarithm of the noise's radial power over the ramp before training,
    at 12 frequencies from 0 to the corner. ``measured``: by
    :func:`ctlab.learn.models.spectral_noise.measure_noise_spectrum`, before the first step."""
    noise_spread: Positive = 0.7
    """With ``spectrum``: how unequal the directions of a patch's noise are before training, about
    the SD over patches of log(power of vertical over horizontal frequencies): 0.5 to 1 in a chest,
    the most at the shoulders."""
    critic_width: int = Field(default=32, ge=4, le=1024)
    critic_highpass_px: float = Field(default=6.0, gt=0)
    """Critics see what a Gaussian of this SD removes: texture and edges, not anatomy."""


class Losses(_Section):
    """Weights of the terms, for images in units of ``unit_hu`` (about one noise SD)."""

    adversarial: Literal["wasserstein", "least_squares"] = "wasserstein"
    full: Weight = 0.05
    """Weight of the critic of routine-dose images."""
    low: Weight = 1.0
    """Weight of the critic of low-dose images."""
    low_teaches: bool = True
    """False: that critic judges what the degrader makes, and the degrader keeps the noise that was
    measured. A critic of unpaired images also asks for what their anatomy differs by."""
    cycle_full: Weight = 1.0
    """full -> low -> full, as L1 times sqrt(pixels); 1 balances a 1-Lipschitz critic."""
    cycle_relative: bool = False
    """Cycle errors count in parts of the noise variance of their patch: else the noisiest patches
    alone teach a quadratic cycle, and a quiet image is denoised as if it were noisy."""
    cycle_low: Weight = 0.0
    cycle_rounding: Weight = 0.0
    """Cycle errors below this count quadratically, in units of ``unit_hu``; 0 is a pure L1."""
    identity: Weight = 0.0
    transport: Weight = 0.0
    """Squared distance between a low-dose image and its denoised one: the cost of an optimal
    transport map without a way back."""
    neighbour: Weight = 0.0
    """Squared distance between a denoised low-dose slice and its noisy neighbour where both
    show the same: self-supervision after Noise2Noise and Noise2Sim."""
    mean_shift: Weight = 1.0
    """Change of the means of 16 x 16 pixels by the denoiser: noise has none."""
    penalty: Weight = 20.0
    penalty_every: int = Field(default=2, ge=1)
    """The penalty is taken at every n-th step with n times its weight."""
    stop_cycle_at_degrader: bool = True
    """The cycle teaches the denoiser only, so the degrader cannot hide information in it."""


class TrainConfig(_Section):
    """A whole training run.

    Examples
    --------
    >>> TrainConfig().scale
    HuScale(centre_hu=-300.0, unit_hu=50.0)
    >>> TrainConfig.from_toml_text("stepz = 3")
    Traceback (most recent call last):
    ...
    ValueError: training configuration: stepz: Extra inputs are not permitted (got 3)
    """

    format_version: Literal[1] = 1
    data: Data = Data()
    networks: Networks = Networks()
    losses: Losses = Losses()
    centre_hu: float = -300.0
    unit_hu: float = Field(default=50.0, gt=0)
    patch_px: int = Field(default=64, ge=16, multiple_of=8)
    batch: int = Field(default=4, ge=1)
    """Unpaired patches of each domain per step and process."""
    cycle_batch: int = Field(default=16, ge=1)
    """Routine-dose patches of the cycle per step and process (the first ``batch`` are shared)."""
    cycle_level: tuple[Positive, Positive] = (1.0, 1.0)
    """In a stopped cycle each patch gets noise of the low-dose domain's SD times a random factor
    between these two, most often near 1. The critic of low dose judges draws without it."""
    cycle_width: tuple[Positive, Positive] = (1.0, 1.0)
    """The same for the width of the noise's grain, as of sharper (below 1) and softer kernels:
    needs ``degrader = "spectrum"``. A denoiser that has seen one kernel knows that one only."""
    cycle_soft_px: tuple[NotNegative, ...] = ()
    """In a stopped cycle each routine-dose patch is softened by a Gaussian of one of these SDs, 0
    for none. A denoiser that has seen one sharpness only gives it to softer images, too."""
    steps: int = Field(default=3000, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    final_rate: Fraction = 0.02
    """Learning rate at the end, as a fraction; constant for one half, then linear."""
    betas: tuple[float, float] = (0.5, 0.9)
    clip_norm: float = Field(default=5.0, gt=0)
    ema_denoiser: float = Field(default=0.999, ge=0, lt=1)
    ema_degrader: float = Field(default=0.998, ge=0, lt=1)
    seed: int = Field(default=0, ge=0)
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    deterministic: bool = False
    """On a GPU: only algorithms that give the same digits every time; slower. A CPU always does."""
    graphs: bool = False
    """On one GPU: capture the step as a CUDA graph and replay it, which spares launching its
    kernels one by one. The arithmetic is the same."""
    monitor_every: int = Field(default=100, ge=1)
    save_every: int = Field(default=500, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, values: Any) -> Any:
        """Leave out a key that stands in checkpoints from before noise had random directions."""
        if isinstance(values, dict) and isinstance(values.get("turn_noise"), bool):
            return {key: value for key, value in values.items() if key != "turn_noise"}
        return values

    @model_validator(mode="after")
    def _fits(self) -> "TrainConfig":
        if self.cycle_batch < self.batch:
            raise ValueError(f"cycle_batch {self.cycle_batch} must be at least batch {self.batch}")
        kind, degrader = self.networks.generator, self.networks.degrader
        if kind in ("invertible", "redcnn") and self.networks.attention != "none":
            raise ValueError(f"the {kind} generator has no attention; set attention = 'none'")
        if kind in ("invertible", "redcnn") and self.networks.slices != 1:
            raise ValueError(f"the {kind} generator sees one slice; set slices = 1")
        if self.losses.neighbour > 0 and self.networks.slices != 1:
            raise ValueError("losses.neighbour teaches a slice the network sees; set slices = 1")
        if kind == "switchable" and degrader not in ("noise", "reconstruction"):
            raise ValueError(
                "the switchable generator degrades itself; set degrader = 'noise' or "
                "'reconstruction'"
            )
        if (degrader == "simulator") != (self.data.paired != "none"):
            raise ValueError(
                "degrader = 'simulator' and data.paired = 'full' or 'all' go together, got "
                f"{degrader!r} and {self.data.paired!r}"
            )
        self._ways_back()
        self._disturbs_the_cycle()
        if self.networks.noise_kernel_px > self.patch_px:
            raise ValueError(
                f"noise_kernel_px {self.networks.noise_kernel_px} exceeds patch_px {self.patch_px}"
            )
        return self

    def _disturbs_the_cycle(self) -> None:
        """A cycle is disturbed only where it stops at a degrader that can be."""
        degrader = self.networks.degrader
        if self.cycle_width != (1.0, 1.0) and degrader != "spectrum":
            raise ValueError(
                f"cycle_width stretches the grain of degrader = 'spectrum', got {degrader!r}; "
                "leave it out"
            )
        is_disturbed = self.cycle_level != (1.0, 1.0) or self.cycle_soft_px
        if is_disturbed and not (self.learns_degrader and self.losses.stop_cycle_at_degrader):
            raise ValueError(
                "cycle_level and cycle_soft_px disturb a cycle that is stopped at a degrader that "
                f"learns, got {degrader!r}; leave them out"
            )

    def _ways_back(self) -> None:
        """Terms that need a learned degrader are 0 where there is none."""
        if self.learns_degrader:
            return
        needing = {"low": self.losses.low, "cycle_low": self.losses.cycle_low}
        if self.networks.degrader == "none":
            needing["cycle_full"] = self.losses.cycle_full
        wrong = [name for name, weight in needing.items() if weight > 0]
        if wrong:
            raise ValueError(
                f"losses {', '.join(wrong)} need a degrader that learns; set them to 0 with "
                f"degrader = {self.networks.degrader!r}"
            )

    @property
    def learns_degrader(self) -> bool:
        """True where the way to low dose is a network that is trained."""
        return self.networks.degrader in ("noise", "reconstruction", "spectrum", "unet")

    @property
    def supervision(self) -> str:
        """What the training was told: said on every card, in every table.

        Examples
        --------
        >>> TrainConfig().supervision
        'unpaired'
        >>> TrainConfig.recipe("ot1").supervision
        'simulation-supervised'
        """
        weights = self.losses
        if self.data.paired != "none":
            return "supervised" if weights.full == 0 else "simulation-supervised"
        return "self-supervised" if weights.full == weights.low == 0 else "unpaired"

    @property
    def scale(self) -> HuScale:
        """Map between HU and network units."""
        return HuScale(self.centre_hu, self.unit_hu)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainConfig":
        """Configuration from plain values; ``ValueError`` names each wrong key."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'whole file'}: {e['msg']}{_got(e['input'])}"
                for e in error.errors()
            )
            raise ValueError(f"training configuration: {wrong}") from None

    @classmethod
    def from_toml_text(cls, text: str) -> "TrainConfig":
        """Configuration from TOML text; an unknown key is refused."""
        try:
            return cls.from_dict(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"training configuration is not valid TOML: {error}") from None

    @classmethod
    def recipe(cls, name: str) -> "TrainConfig":
        """Configuration that comes with the kit.

        ``ot2``, ``adain``, ``invertible`` and ``lsgan`` are unpaired; ``ot1`` is
        simulation-supervised. Baselines: ``supervised`` and ``redcnn``, ``noise2sim``
        (self-supervised), and the unpaired transport map ``otmap``.
        """
        folder = files("ctlab.learn") / "recipes"
        names = sorted(f.name.removesuffix(".toml") for f in folder.iterdir())
        if name not in names:
            raise ValueError(f"there is no recipe {name!r}; choose one of {', '.join(names)}")
        return cls.from_toml_text((folder / f"{name}.toml").read_text(encoding="utf-8"))

    @classmethod
    def from_toml(cls, path: str | Path) -> "TrainConfig":
        """Configuration from a TOML file."""
        return cls.from_toml_text(Path(path).read_text(encoding="utf-8"))

    def to_toml(self) -> str:
        """TOML text with every value written out; reads back as an equal configuration."""
        values = self.model_dump(mode="json")
        # Plain keys must precede the first table, or TOML would read them as part of it.
        lines = [_line(k, v) for k, v in values.items() if not isinstance(v, dict)]
        for name, section in values.items():
            if isinstance(section, dict):
                lines += ["", f"[{name}]", *(_line(k, v) for k, v in section.items())]
        return "\n".join(lines) + "\n"


def _got(value: Any) -> str:
    """The value that was refused, unless it is a section or the whole file."""
    return "" if isinstance(value, dict | BaseModel) else f" (got {value!r})"


def _line(key: str, value: Any) -> str:
    # JSON scalars, strings and lists are spelled alike in TOML.
    return f"{key} = {json.dumps(value)}"
