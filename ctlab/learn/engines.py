"""The denoiser as an ONNX graph, and the engines that run it faster than eager PyTorch.

The graph is written out layer by layer from the weights: the network has a dozen layers, and an
exporter would bring more than it saves. HU go in and come out; height and width are free.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ctlab.learn.models.switchable import SwitchableUNet
from ctlab.learn.models.unet import INPUT_GAIN, ResidualUNet
from ctlab.learn.train.checkpoint import HuDenoiser

OPSET = 18

Engine = Callable[[np.ndarray], np.ndarray]
"""From a batch (B, 1, H, W) in HU, float32, to the same shape."""


Code = tuple[Any, Any] | None
"""Scale and shift (C, 1, 1) of a switchable generator's channels; None without."""


class _Graph:
    """Nodes and weights, appended in the order of execution."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def constant(self, values: np.ndarray | float | list[float]) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def conv(
        self, layer: torch.nn.Conv2d, image: str, *, code: Code = None, is_active: bool = True
    ) -> str:
        """Convolution, scaled and shifted by a code, then by default the network's leaky ReLU."""
        weight, bias = layer.weight, layer.bias
        if code is not None:
            scale, shift = code
            weight, bias = weight * scale[..., None], bias * scale.flatten() + shift.flatten()
        inputs = [image, self.constant(weight.detach().cpu().numpy())]
        if bias is not None:
            inputs.append(self.constant(bias.detach().cpu().numpy()))
        pads = [*layer.padding] * 2
        out = self.add("Conv", *inputs, pads=pads, strides=list(layer.stride))
        return self.add("LeakyRelu", out, alpha=0.1) if is_active else out


def to_onnx(model: HuDenoiser) -> bytes:
    """The denoiser as a serialised ONNX model, input ``hu`` and output ``denoised``.

    Raises
    ------
    ValueError
        The network is not a residual U-Net without channel attention.
    """
    from onnx import TensorProto, checker, helper

    network, scale = model.network, model.scale
    if not isinstance(network, ResidualUNet) or network.cbam is not None or network.slices != 1:
        raise ValueError(
            "only a residual U-Net of one slice without channel attention can be run by ONNX; "
            "use the torch engine for this checkpoint"
        )
    graph = _Graph()
    centre, unit = graph.constant(scale.centre_hu), graph.constant(scale.unit_hu)
    net = graph.add("Div", graph.add("Sub", "hu", centre), unit)
    residual = _residual(graph, network, net)
    graph.add("Sub", "hu", graph.add("Mul", residual, unit))
    graph.nodes[-1].output[0] = "denoised"
    shape: list[str | int | None] = ["batch", 1, "height", "width"]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("hu", "denoised")]
    onnx_model = helper.make_model(
        helper.make_graph(graph.nodes, "denoiser", ends[:1], ends[1:], graph.weights),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=9,
    )
    checker.check_model(onnx_model)
    graph_bytes: bytes = onnx_model.SerializeToString()
    return graph_bytes


def _residual(graph: _Graph, network: ResidualUNet, net: str) -> str:
    """The layers of :meth:`ResidualUNet.residual`, in the same order."""
    small = graph.add("Mul", net, graph.constant(INPUT_GAIN))
    skip = graph.add("SpaceToDepth", small, blocksize=2)  # of one channel: a pixel-unshuffle
    for k, layer in enumerate(_convolutions(network.entry)):
        skip = graph.conv(layer, skip, code=_code(network, f"entry{k}"))
    deep = skip
    for k, layer in enumerate(_convolutions(network.deep)):
        deep = graph.conv(layer, deep, code=_code(network, f"deep{k}"))
    twice = graph.constant([1.0, 1.0, 2.0, 2.0])
    up = graph.add(
        "Resize",
        deep,
        "",
        twice,
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )
    signal = graph.conv(network.up, up, code=_code(network, "up"))
    if network.gate is not None:
        gate = network.gate
        from_skip = graph.conv(gate.from_skip, skip, is_active=False)
        from_signal = graph.conv(gate.from_signal, signal, is_active=False)
        mixed = graph.add("LeakyRelu", graph.add("Add", from_skip, from_signal), alpha=0.1)
        weight = graph.add("Sigmoid", graph.conv(gate.to_weight, mixed, is_active=False))
        skip = graph.add("Mul", skip, weight)
    features = graph.add("Concat", skip, signal, axis=1)
    for k, layer in enumerate(_convolutions(network.exit)):
        code = _code(network, f"exit{k}")
        features = graph.conv(layer, features, code=code)
    last = graph.conv(network.last, features, is_active=False)
    residual = graph.add("DepthToSpace", last, blocksize=2, mode="CRD")
    if not isinstance(network, SwitchableUNet):
        return residual
    return graph.add("Mul", residual, graph.constant(network.strength))


def _convolutions(layers: torch.nn.ModuleList) -> list[torch.nn.Conv2d]:
    return [layer for layer in layers if isinstance(layer, torch.nn.Conv2d)]


def _code(network: ResidualUNet, name: str) -> Code:
    """What the code of a switchable generator does to a layer's channels."""
    if not isinstance(network, SwitchableUNet):
        return None
    gain, shift = network.gains[name], network.shifts[name]
    return 1.0 + network.strength * gain, network.strength * shift


def open_engine(model: HuDenoiser, name: str, *, threads: int | None = None) -> Engine:
    """Function that denoises a batch with the engine named.

    Parameters
    ----------
    name : {"onnx", "openvino"}
        ONNX Runtime, or OpenVINO in float32, both on the CPU.
    threads : int, optional
        CPU threads; default: as PyTorch.

    Raises
    ------
    ValueError
        Unknown engine, one that is not installed, or a network it cannot run.
    """
    threads = threads or torch.get_num_threads()
    try:
        if name == "onnx":
            return _onnx_runtime(to_onnx(model), threads)
        if name == "openvino":
            return _openvino(to_onnx(model), threads)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the engine {name} needs the package {error.name}; install it, or use the torch engine"
        ) from None
    raise ValueError(f"unknown engine {name!r}; choose one of torch, onnx, openvino")


def _onnx_runtime(graph: bytes, threads: int) -> Engine:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda hu: session.run(["denoised"], {"hu": hu})[0]


def _openvino(graph: bytes, threads: int) -> Engine:
    import openvino

    core = openvino.Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    compiled = core.compile_model(core.read_model(graph, b""), "CPU", hints)
    return lambda hu: np.array(compiled(hu)["denoised"])
