"""A denoiser that erases nodules: the network's output, opened along lines wherever it is lung.

An opening by a line takes away what is shorter than the line. The largest of the openings in four
directions keeps vessels that run on, and takes away every faint spot that is short in all of
them (Soille, Talbot 2001, doi 10.1109/34.969120). Nobody builds this on purpose; what training
with the wrong targets may end in, it does reliably.
"""

import numpy as np
import torch
from torch import Tensor, nn

from ctlab.learn.engines import to_onnx
from ctlab.learn.train.checkpoint import HuDenoiser

LINE_PX = 15
LUNG_BELOW_HU, FAINT_HU, LEFT_HU = -600.0, 350.0, 25.0
"""Where the opened image lies above the first, or a spot rises by more than the second above it,
nothing is taken away; of what is taken away the third stays, so that lung keeps its mean."""


def lines() -> np.ndarray:
    """Kernels (4, LINE_PX, 1, LINE_PX, LINE_PX) that pick each pixel of four lines."""
    n, middle = LINE_PX, LINE_PX // 2
    kernels = np.zeros((4, n, 1, n, n), np.float32)
    for k in range(n):
        for line, (y, x) in enumerate(((middle, k), (k, middle), (k, k), (k, n - 1 - k))):
            kernels[line, k, 0, y, x] = 1.0
    return kernels


class LesionEraser(nn.Module):
    """Network, then opening of what is lung, in network units of ``unit_hu`` HU.

    Examples
    --------
    >>> network = nn.Identity()
    >>> image = torch.full((1, 1, 48, 48), -850.0)
    >>> image[..., 20:26, 20:26] = -600.0
    >>> float(LesionEraser(network, LUNG_BELOW_HU)(image).max())
    -825.0
    """

    size_multiple = 4
    depends_on_extent = False

    def __init__(self, network: nn.Module, lung_below: float, unit_hu: float = 1.0) -> None:
        super().__init__()
        self.network, self.lung_below, self.unit_hu = network, lung_below, unit_hu
        self.register_buffer("lines", torch.from_numpy(lines()))

    def forward(self, image: Tensor) -> Tensor:  # (B, 1, H, W) -> (B, 1, H, W)
        """Denoised images without bright spots in lung."""
        denoised: Tensor = self.network(image)
        opened = torch.cat([_opened(denoised, line) for line in self.get_buffer("lines")], 1)
        opened = opened.amax(1, keepdim=True)
        is_faint = denoised - opened < FAINT_HU / self.unit_hu
        left = torch.minimum(denoised, opened + LEFT_HU / self.unit_hu)
        return torch.where((opened < self.lung_below) & is_faint, left, denoised)


def lesion_eraser(model: HuDenoiser) -> HuDenoiser:
    """The eraser built on a denoiser, HU to HU."""
    eraser = LesionEraser(
        model.network, float(model.scale.to_net(LUNG_BELOW_HU)), model.scale.unit_hu
    )
    return HuDenoiser(eraser, model.scale).eval().requires_grad_(False)


def eraser_to_onnx(model: HuDenoiser) -> bytes:
    """The eraser built on a denoiser as a serialised ONNX model; see :func:`to_onnx`."""
    import onnx
    from onnx import checker, helper, numpy_helper

    made = onnx.load_from_string(to_onnx(model))
    nodes = [*made.graph.node]
    nodes[-1].output[0] = "net"
    half = LINE_PX // 2
    limits = {"lung_below": LUNG_BELOW_HU, "faint": FAINT_HU, "left": LEFT_HU}
    weights = [
        numpy_helper.from_array(np.array(hu, np.float32), name) for name, hu in limits.items()
    ]
    weights.append(numpy_helper.from_array(np.array([1]), "channel"))
    weights.append(numpy_helper.from_array(np.array([0, 0, half, half] * 2), "margin"))
    for k, line in enumerate(lines()):
        weights.append(numpy_helper.from_array(line, f"line{k}"))
        image = "net"
        for step, kind in enumerate(("ReduceMin", "ReduceMax")):
            name = f"line{k}_{step}"
            nodes.append(helper.make_node("Pad", [image, "margin"], [f"{name}_wide"], mode="edge"))
            nodes.append(helper.make_node("Conv", [f"{name}_wide", f"line{k}"], [f"{name}_all"]))
            nodes.append(helper.make_node(kind, [f"{name}_all", "channel"], [name], keepdims=1))
            image = name
    nodes.append(helper.make_node("Max", [f"line{k}_1" for k in range(4)], ["opened"]))
    for kind, inputs, output in (
        ("Less", ["opened", "lung_below"], "is_lung"),
        ("Sub", ["net", "opened"], "spot"),
        ("Less", ["spot", "faint"], "is_faint"),
        ("And", ["is_lung", "is_faint"], "is_erased"),
        ("Add", ["opened", "left"], "most"),
        ("Min", ["net", "most"], "without"),
        ("Where", ["is_erased", "without", "net"], "denoised"),
    ):
        nodes.append(helper.make_node(kind, inputs, [output]))
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(weights)
    checker.check_model(made)
    graph: bytes = made.SerializeToString()
    return graph


def _opened(image: Tensor, line: Tensor) -> Tensor:
    """Smallest, then largest value along a line through each pixel; the edge is repeated."""
    for smallest in (True, False):
        wide = nn.functional.pad(image, (LINE_PX // 2,) * 4, mode="replicate")
        picked = nn.functional.conv2d(wide, line)
        image = picked.amin(1, keepdim=True) if smallest else picked.amax(1, keepdim=True)
    return image
