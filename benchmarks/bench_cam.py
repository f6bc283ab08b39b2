"""CAMs on a 512 x 512 slice with the shipped network, beside pytorch-grad-cam's own call.

The same module, slice, layer and target for both; compared are the raw maps of the whole slice,
before that library clips and scales its own.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from benchmarks.driver import compare
from ctlab.explain import (
    DenoiserProbe,
    cam_map,
    import_with_torchvision,
    make_target,
    region_mask,
)
from ctlab.learn import load_checkpoint

CASES = {
    "hirescam of a region, 512x512": ("hirescam", (200, 220, 8)),
    "gradcam of a region, 512x512": ("gradcam", (200, 220, 8)),
    "hirescam of the whole slice, 512x512": ("hirescam", (0, 0, 512, 512)),
    "hirescam of the whole slice, frozen weights": ("hirescam", (0, 0, 512, 512)),
}
"""The last one spares the library the gradients of the weights, which its own call computes."""
PEERS = {"hirescam": "HiResCAM", "gradcam": "GradCAM"}


def results() -> Iterator[dict[str, Any]]:
    """A region's map, where only its field has to be run, and a map of the whole slice."""
    torch.set_num_threads(1)
    probe = DenoiserProbe(load_checkpoint())
    layer = probe.default_layer()
    image = np.random.default_rng(0).normal(-300, 50, (512, 512)).astype(np.float32)
    batch = probe.tensor(image)
    library = import_with_torchvision("pytorch_grad_cam")

    def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
        return float(np.abs(ours - theirs).max() / np.abs(theirs).max())

    for name, (method, roi) in CASES.items():
        target = make_target("mean", region_mask(roi, image.shape))
        frozen = "frozen" in name
        probe.model.requires_grad_(not frozen)
        machine = getattr(library, PEERS[method])(
            model=probe.model, target_layers=[probe.layer(layer)]
        )
        machine.compute_input_gradient = frozen  # it needs one recorded graph or the other

        def ours(method: str = method, target: Any = target) -> np.ndarray:
            return cam_map(probe, image, target, method=method, layer=layer)

        def peer(machine: Any = machine, method: str = method, target: Any = target) -> np.ndarray:
            read = [lambda out: target(batch, out[None])[0]]
            machine(input_tensor=batch, targets=read)
            store = machine.activations_and_grads
            gradient, activation = store.gradients[0], store.activations[0]
            if method == "gradcam":
                gradient = gradient.mean(dim=(2, 3), keepdim=True)
            return (gradient * activation).sum(dim=1)[0].numpy()

        yield compare(
            name,
            ours,
            peer,
            peer_name=f"pytorch_grad_cam.{PEERS[method]}",
            difference=difference,
            tolerance=1e-5,
            packages=("torch", "grad-cam"),
        )
        machine.activations_and_grads.release()
