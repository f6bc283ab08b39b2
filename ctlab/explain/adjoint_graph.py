"""The adjoint of a denoiser as an ONNX graph, so that a page can ask why without PyTorch.

Reverse-mode differentiation written into the graph: each node of the forward pass is followed, in
reverse order, by the transpose of its derivative (Griewank, Walther 2008, doi
10.1137/1.9780898717761, chapter 3).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ctlab.explain.probe.denoiser_probe import DenoiserProbe
from ctlab.learn.engines import to_onnx
from ctlab.learn.train.checkpoint import HuDenoiser


def adjoint_graph(model: HuDenoiser) -> bytes:
    """Serialised ONNX model: inputs ``hu`` and ``seed``, outputs ``row`` and ``cam``.

    ``row`` is the transposed Jacobian at ``hu`` times ``seed``: with 1 at one pixel and 0
    elsewhere, the weights of :func:`ctlab.explain.jacobian_row`. ``cam`` is the HiResCAM of the
    same target at the probe's default layer, as :func:`ctlab.explain.maps.cam.cam_map` has it.

    Raises
    ------
    ValueError
        The network is none that :func:`ctlab.learn.engines.to_onnx` can write out.
    """
    import onnx
    from onnx import TensorProto, checker, helper, numpy_helper

    forward = onnx.load_from_string(to_onnx(model))
    weights = {w.name: numpy_helper.to_array(w) for w in forward.graph.initializer}
    probe = DenoiserProbe(model)
    layer_weight = probe.layer(probe.default_layer()).get_parameter("weight")
    kernel = layer_weight.detach().cpu().numpy()
    reverse = _Reverse(list(forward.graph.node), weights)
    reverse.run()
    layer = reverse.conv_output(kernel)
    product = reverse.add("Mul", layer, reverse.sum_of(layer))
    reverse.add("ReduceSum", product, reverse.constant(np.array([1])), out="cam", keepdims=1)
    reverse.add("Identity", reverse.sum_of("hu"), out="row")
    ends: dict[str, Any] = {}
    for name in ("hu", "seed", "row", "cam"):
        shape: list[str | int | None] = ["batch", 1, f"height_{name}", f"width_{name}"]
        ends[name] = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    made = helper.make_model(
        helper.make_graph(
            reverse.nodes,
            "adjoint",
            [ends["hu"], ends["seed"]],
            [ends["row"], ends["cam"]],
            [numpy_helper.from_array(w, name) for name, w in reverse.weights.items()],
        ),
        opset_imports=list(forward.opset_import),
        ir_version=forward.ir_version,
    )
    checker.check_model(made)
    graph: bytes = made.SerializeToString()
    return graph


class _Reverse:
    """The nodes of a forward pass, followed by those of its adjoint."""

    def __init__(self, forward: list[Any], weights: dict[str, np.ndarray]) -> None:
        self.forward, self.weights, self.nodes = forward, dict(weights), list(forward)
        self.parts: dict[str, list[str]] = {"denoised": ["seed"]}
        self.channels = {"hu": 1}
        self.count = 0
        for node in forward:
            self.channels[node.output[0]] = self._channels(node)

    def _channels(self, node: Any) -> int:
        seen = [self.channels[name] for name in node.input if name in self.channels]
        size = {a.name: int(a.i) for a in node.attribute}.get("blocksize", 1) ** 2
        if node.op_type == "Conv":
            return int(self.weights[node.input[1]].shape[0])
        if node.op_type == "Concat":
            return sum(seen)
        if node.op_type == "SpaceToDepth":
            return seen[0] * size
        return seen[0] // size if node.op_type == "DepthToSpace" else max(seen)

    def run(self) -> None:
        """Append the adjoint of every node, the last one first."""
        for node in reversed(self.forward):
            rule: Callable[[Any, str], None] = getattr(self, f"_{node.op_type.lower()}")
            rule(node, self.sum_of(node.output[0]))

    def constant(self, value: np.ndarray) -> str:
        self.count += 1
        self.weights[f"adjoint_c{self.count}"] = value
        return f"adjoint_c{self.count}"

    def number(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def add(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        from onnx import helper

        self.count += 1
        name = out or f"adjoint_n{self.count}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def sum_of(self, name: str) -> str:
        """Derivative with respect to a tensor: the sum over everything that reads it."""
        parts = self.parts[name]
        if len(parts) > 1:
            self.parts[name] = [self.add("Sum", *parts)]
        return self.parts[name][0]

    def give(self, name: str, gradient: str) -> None:
        if name in self.channels:  # weights are constants here
            self.parts.setdefault(name, []).append(gradient)

    def conv_output(self, kernel: np.ndarray) -> str:
        """Output of the convolution that has these weights."""
        for node in self.forward:
            if node.op_type == "Conv" and np.array_equal(self.weights[node.input[1]], kernel):
                return str(node.output[0])
        raise ValueError("the layer of the map is not a plain convolution of the graph")

    def _add(self, node: Any, gradient: str) -> None:
        for name in node.input:
            self.give(name, gradient)

    def _sub(self, node: Any, gradient: str) -> None:
        self.give(node.input[0], gradient)
        if node.input[1] in self.channels:
            self.give(node.input[1], self.add("Neg", gradient))

    def _div(self, node: Any, gradient: str) -> None:
        self.give(node.input[0], self.add("Div", gradient, node.input[1]))

    def _mul(self, node: Any, gradient: str) -> None:
        for name, other in (node.input, reversed(node.input)):
            if name not in self.channels:
                continue
            part = self.add("Mul", gradient, other)
            if self.channels[name] < self.channels[node.output[0]]:  # it was spread over channels
                part = self.add("ReduceSum", part, self.constant(np.array([1])), keepdims=1)
            self.give(name, part)

    def _conv(self, node: Any, gradient: str) -> None:
        from onnx import helper

        kept = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        spare = [stride - 1 for stride in kept["strides"]]  # sizes are multiples of the stride
        made = self.add("ConvTranspose", gradient, node.input[1], output_padding=spare, **kept)
        self.give(node.input[0], made)

    def _leakyrelu(self, node: Any, gradient: str) -> None:
        (slope,) = (a.f for a in node.attribute if a.name == "alpha")
        above = self.add("Greater", node.input[0], self.number(0.0))
        below = self.add("Mul", gradient, self.number(slope))
        self.give(node.input[0], self.add("Where", above, gradient, below))

    def _sigmoid(self, node: Any, gradient: str) -> None:
        value = node.output[0]
        slope = self.add("Mul", value, self.add("Sub", self.number(1.0), value))
        self.give(node.input[0], self.add("Mul", gradient, slope))

    def _resize(self, node: Any, gradient: str) -> None:
        mean = self.add("AveragePool", gradient, kernel_shape=[2, 2], strides=[2, 2])
        self.give(node.input[0], self.add("Mul", mean, self.number(4.0)))

    def _spacetodepth(self, node: Any, gradient: str) -> None:
        self.give(node.input[0], self.add("DepthToSpace", gradient, blocksize=2))

    def _depthtospace(self, node: Any, gradient: str) -> None:
        self.give(node.input[0], self.add("SpaceToDepth", gradient, blocksize=2))

    def _concat(self, node: Any, gradient: str) -> None:
        start = 0
        for name in node.input:
            stop = start + self.channels[name]
            ends = (self.constant(np.array([value])) for value in (start, stop, 1))
            self.give(name, self.add("Slice", gradient, *ends))
            start = stop
