"""One call from a model, a slice and a region to a map with its evidence."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from torch import nn

from ctlab.ct.hu import LUNG, Window
from ctlab.explain.audit.audit_map import AuditPlan, audit_map, branch_of, target_values
from ctlab.explain.audit.restoration_metrics import MapUnderTest, assess_map, other_places
from ctlab.explain.maps.detectability import detectability_template
from ctlab.explain.maps.methods import (
    STARTS,
    check_method,
    explainer,
    has_layer,
    native_map,
)
from ctlab.explain.overlay import caption_below, overlay_rgb
from ctlab.explain.probe.denoiser_probe import DenoiserProbe, enlarge
from ctlab.explain.probe.regions import Region, region_mask
from ctlab.explain.probe.targets import RegionTarget, Target, make_target
from ctlab.files import write_whole
from ctlab.input_files import check_keys, declared, read_arrays
from ctlab.learn import Checkpoint

FORMAT_VERSION = 1
REMOVED = Window(0.0, 200.0, "removed")


@dataclass(frozen=True)
class Explanation:
    """A map, what it explains, and the numbers that say whether to believe it.

    Attributes
    ----------
    signed : ndarray, float32, shape (y, x)
        In units of the target; above zero raises the target.
    native : ndarray, float32
        The map at the layer's own resolution, over ``field_box``.
    mask : ndarray of bool, shape (y, x)
    value : float
        The target itself, for the HU-valued ones in HU.
    audit : dict
        See :func:`ctlab.explain.audit_map`.
    field_box : (top, left, bottom, right)
        Part of the slice that was looked at; outside it the map is 0.
    """

    method: str
    target: str
    layer: str
    signed: np.ndarray
    native: np.ndarray
    mask: np.ndarray
    value: float
    image_hu: np.ndarray
    output_hu: np.ndarray
    audit: dict[str, Any] = field(repr=False)
    field_box: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def scaled(self) -> np.ndarray:
        """The map over its largest absolute value, -1 to 1; all 0 where it is empty."""
        top = float(np.abs(self.signed).max())
        return self.signed / top if top > 0 else self.signed

    @property
    def verdict(self) -> str:
        """``believe``, ``weak`` or ``no better than chance``."""
        return str(self.audit["verdict"])

    def in_words(self) -> str:
        """One sentence with what the numbers allow."""
        why = "; ".join(self.audit["reasons"]) or "every check passed"
        return f"{self.method} map of the region's {self.target}: {self.verdict} ({why})."


def explain_region(
    model: Checkpoint | nn.Module | DenoiserProbe,
    image_hu: np.ndarray,
    roi: Region,
    *,
    method: str = "hirescam",
    target: str | Target = "mean",
    layer: str | None = None,
    plan: AuditPlan | None = None,
) -> Explanation:
    """Signed map of what moved a region's value, with its audit and verdict.

    Parameters
    ----------
    model : Checkpoint, Module or DenoiserProbe
        Denoiser from HU to HU, (B, C, H, W) to (B, 1, H, W).
    image_hu : ndarray, HU, shape (y, x), or (c, y, x) for a model of neighbouring slices
        The noisy slice.
    roi : (y, x, radius), (top, left, bottom, right) or a mask; see :func:`region_mask`
    method : one of :data:`ctlab.explain.METHODS`
    target : one of :data:`ctlab.explain.probe.targets.TARGETS`, or a function of input and output
        ``template`` draws the template of a lesion as large as the region, see
        :func:`detectability_template`; pass ``make_target("template", ...)`` for one of your own.
        ``realism`` needs a checkpoint, which brings its critic.
    layer : str, optional
        For the CAM family; None takes the last convolution at the coarsest resolution.
    plan : AuditPlan, optional

    Raises
    ------
    ValueError
        Unknown method, target or layer (the names available are listed), or a region that
        reaches out of the image.

    Notes
    -----
    Where the model says that crops are exact, only the field around the region is looked at:
    the map is the same and the audit many times faster.
    """
    check_method(method)
    probe = model if isinstance(model, DenoiserProbe) else DenoiserProbe(model)
    stack = probe.image(image_hu)
    image = stack if stack.ndim == 2 else stack[len(stack) // 2]
    mask = region_mask(roi, image.shape)
    read = _named_target(probe, stack, mask, target) if isinstance(target, str) else target
    box = probe.field_box(read.mask | mask if isinstance(read, RegionTarget) else mask)
    if isinstance(read, RegionTarget):
        read = read.crop(box)
    inside = np.s_[..., box[0] : box[2], box[1] : box[3]]
    where = (layer or probe.default_layer()) if has_layer(method) else ""
    if where:
        probe.layer(where)
    native = native_map(probe, stack[inside], read, method, where)
    audit = audit_map(
        probe,
        stack[inside],
        mask[inside],
        read,
        explainer(method, where),
        plan=plan,
        start=STARTS.get(method),
    )
    if plan is not None and plan.more_tests:
        case = _map_under_test(probe, stack[inside], mask[inside], read, method, where)
        audit["tests"] = assess_map(case, seed=plan.seed)
    signed = np.zeros_like(image)
    signed[inside] = enlarge(native, image[inside].shape)
    output = probe.run(stack)
    batch = probe.tensor(image[inside]), probe.tensor(output[inside])
    return Explanation(
        method=method,
        target=target if isinstance(target, str) else getattr(target, "name", "own target"),
        layer=where,
        signed=signed,
        native=native,
        mask=mask,
        value=float(read(*batch)[0]),
        image_hu=image,
        output_hu=output,
        audit=audit,
        field_box=box,
    )


_SHUFFLED = 3
"""Networks with shuffled weights whose maps are compared."""


def _map_under_test(
    probe: DenoiserProbe,
    stack: np.ndarray,
    mask: np.ndarray,
    target: Target,
    method: str,
    layer: str,
) -> MapUnderTest:
    """The map's maker for :func:`assess_map`, which sees the middle slice of a stack alone."""
    make, rng = explainer(method, layer), np.random.default_rng(0)

    def placed(images: np.ndarray) -> np.ndarray:  # (n, y, x) -> (n, c, y, x)
        around = np.repeat(stack.reshape(1, -1, *mask.shape), len(images), axis=0)
        around[:, around.shape[1] // 2] = images
        return around

    def maker(of: DenoiserProbe, read: Target) -> Callable[[np.ndarray], np.ndarray]:
        return lambda image: make(of, placed(image[None])[0].reshape(stack.shape), read)

    branch, elsewhere = branch_of(target), []
    if isinstance(target, RegionTarget) and target.template is None:
        elsewhere = [replace(target, mask=place) for place in other_places(mask)]
    return MapUnderTest(
        score=lambda images: target_values(probe, placed(images), target),
        explain=maker(probe, target),
        image=stack if stack.ndim == 2 else stack[len(stack) // 2],
        mask=mask,
        elsewhere=[maker(probe, other) for other in elsewhere],
        learnt=maker(probe, branch),
        shuffled=[maker(probe.randomised(rng), branch) for _ in range(_SHUFFLED)],
        is_weights=method == "gradient",
    )


def _named_target(
    probe: DenoiserProbe, image: np.ndarray, mask: np.ndarray, name: str
) -> RegionTarget:
    """Target of a name, with the template or the critic it needs."""
    if name == "template":
        template = detectability_template(probe, image, mask)
        return make_target(name, template != 0, template=template)
    return make_target(name, mask, critic=probe.critic if name == "realism" else None)


def write_explanation(
    explanation: Explanation,
    npz: str | Path,
    png: str | Path | None = None,
    *,
    window: Window = LUNG,
) -> None:
    """Writes the map with its audit (NPZ) and a picture (PNG), each whole or not at all.

    The NPZ holds ``signed, native, mask, image_hu, output_hu`` and ``facts``, a JSON text with
    method, target, layer, value, audit, verdict and ``format_version``.
    """
    facts = {
        "format_version": FORMAT_VERSION,
        "method": explanation.method,
        "target": explanation.target,
        "layer": explanation.layer,
        "value": explanation.value,
        "field_box": explanation.field_box,
        "verdict": explanation.verdict,
        "in_words": explanation.in_words(),
        "audit": explanation.audit,
        "window": str(window),
    }
    with write_whole(npz) as part:
        np.savez_compressed(
            part,
            signed=explanation.signed,
            native=explanation.native,
            mask=explanation.mask,
            image_hu=explanation.image_hu,
            output_hu=explanation.output_hu,
            facts=json.dumps(facts),
        )
    if png is not None:
        with write_whole(png) as part:
            _save_png(picture(explanation, window=window), part)


def picture(explanation: Explanation, *, window: Window = LUNG, zoom: int = 2) -> np.ndarray:
    """Noisy slice, denoised slice with the map, and what was removed, side by side; RGB uint8.

    Shown is the part that was looked at. The caption says the method, the scale of the colours,
    the windows, the verdict and what was not shown.
    """
    top, left, bottom, right = explanation.field_box
    inside = np.s_[top:bottom, left:right]
    removed = (explanation.image_hu - explanation.output_hu)[inside]
    nothing = np.zeros_like(removed)
    panels = [
        overlay_rgb(image, signed, window=shown, mask=explanation.mask[inside])
        for image, signed, shown in (
            (explanation.image_hu[inside], nothing, window),
            (explanation.output_hu[inside], explanation.signed[inside], window),
            (removed, nothing, REMOVED),
        )
    ]
    rgb = np.concatenate(panels, axis=1).repeat(zoom, axis=0).repeat(zoom, axis=1)
    return caption_below(rgb, _lines(explanation, window, rgb.shape[1] // 7))


def _lines(explanation: Explanation, window: Window, letters: int) -> list[str]:
    top = float(np.abs(explanation.signed).max())
    return [
        f"noisy | denoised with {explanation.method} map ({window}) | removed ({REMOVED})",
        f"orange raises, blue lowers the region's {explanation.target}; strongest colour {top:.3g}",
        *wrap(f"verdict: {explanation.in_words()}", max(letters, 60)),
    ]


def load_explanation(npz: str | Path) -> Explanation:
    """Explanation from the file :func:`write_explanation` wrote.

    Raises
    ------
    ValueError
        The file is damaged, of something else or of a newer format.

    Examples
    --------
    >>> hu = np.zeros((4, 4), np.float32)
    >>> shown = Explanation("occlusion", "mean", "", hu, hu, hu == 0, 0.0, hu, hu,
    ...     {"verdict": "weak", "reasons": []})
    >>> from tempfile import mkdtemp
    >>> npz = Path(mkdtemp()) / "map.npz"
    >>> write_explanation(shown, npz)
    >>> load_explanation(npz).method
    'occlusion'
    """
    names = ("signed", "native", "mask", "image_hu", "output_hu")
    stored = read_arrays(npz, [*names, "facts"], _WHAT, _REMEDY, most_bytes=MOST_BYTES)
    with declared(npz, _WHAT, _REMEDY):
        facts = json.loads(str(stored.pop("facts")))
        check_keys(facts, {"format_version": int})
        if facts["format_version"] > FORMAT_VERSION:
            raise ValueError(
                f"{npz} has format {facts['format_version']}, this version reads up to "
                f"{FORMAT_VERSION}; update ctlab"
            )
        kept = _checked(facts, stored)
        return Explanation(**{**stored, **kept, "field_box": tuple(facts["field_box"])})


_WHAT, _REMEDY = "is no explanation map", "explain that region again"

MOST_BYTES = 1 << 28
"""What a map unpacks to; one of 2048 x 2048 pixels has a third of it."""

_KINDS = {"method": str, "target": str, "layer": str | None, "value": int | float, "audit": dict}


def _checked(facts: dict[str, Any], stored: dict[str, np.ndarray]) -> dict[str, Any]:
    """The facts of a map by name; raises ``ValueError`` where they do not fit its arrays."""
    check_keys(facts, {**_KINDS, "field_box": list})
    check_keys(facts["audit"], {"verdict": str, "reasons": list})
    if not all(isinstance(reason, str) for reason in facts["audit"]["reasons"]):
        raise ValueError("reasons that are no sentences")
    shape = stored["signed"].shape
    if stored["mask"].dtype != bool or stored["mask"].shape != shape or len(shape) != 2:
        raise ValueError(f"a mask {stored['mask'].shape} on a map {shape}")
    for name in ("signed", "native", "image_hu", "output_hu"):
        array = stored[name]
        if array.dtype.kind != "f" or array.ndim not in (2, 3) or not np.isfinite(array).all():
            raise ValueError(f"{name} is no image of numbers")
        if name != "native" and array.shape[-2:] != shape:
            raise ValueError(f"{name} has shape {array.shape}, the map {shape}")
    box = facts["field_box"]
    if [type(edge) for edge in box] != [int] * 4 or min(box) < 0 or max(box) > max(shape):
        raise ValueError(f"a field_box {box} on a map {shape}")
    return {name: facts[name] for name in _KINDS}


def _save_png(rgb: np.ndarray, path: Path) -> None:
    from PIL import Image

    Image.fromarray(rgb).save(path, format="PNG")
