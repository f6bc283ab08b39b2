"""HiResCAM of a region of a 512 x 512 slice: cut at the layer, beside pytorch-grad-cam's call."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from benchmarks.harness import compare
from ctlab.ct import HuScale
from ctlab.explain import Subject, cam_map, import_with_torchvision, make_target, region_mask
from ctlab.learn import HuDenoiser
from ctlab.learn.networks import ResidualUNet

LAYER = "deep.2"


def results() -> Iterator[dict[str, Any]]:
    """The whole slice, and the field around the region that alone can matter."""
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ResidualUNet(32)
        torch.nn.init.normal_(network.last.weight, 0, 0.05)
    subject = Subject(HuDenoiser(network, HuScale(-300.0, 50.0)))
    image = np.random.default_rng(0).normal(-300, 50, (512, 512)).astype(np.float32)
    mask = region_mask((200, 220, 8), image.shape)
    target, batch = make_target("mean", mask), subject.tensor(image)
    library = import_with_torchvision("pytorch_grad_cam")
    box = subject.field_box(mask)
    inside = np.s_[box[0] : box[2], box[1] : box[3]]
    field = np.s_[box[0] // 4 : box[2] // 4, box[1] // 4 : box[3] // 4]
    near = make_target("mean", mask[inside])

    def whole() -> np.ndarray:
        return cam_map(subject, image, target, method="hirescam", layer=LAYER)

    def region() -> np.ndarray:
        found = np.zeros((128, 128), dtype=np.float32)
        found[field] = cam_map(subject, image[inside], near, method="hirescam", layer=LAYER)
        return found

    with library.HiResCAM(model=subject.model, target_layers=[subject.layer(LAYER)]) as machine:

        def peer() -> np.ndarray:
            read = [lambda out: target(batch, out[None])[0]]
            machine(input_tensor=batch, targets=read)
            store = machine.activations_and_grads  # its raw map, before clipping and scaling
            return (store.gradients[0] * store.activations[0]).sum(dim=1)[0].numpy()

        def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
            return float(np.abs(ours - theirs).max() / np.abs(theirs).max())

        for name, ours in (("hirescam region of 512x512", region), ("hirescam 512x512", whole)):
            yield compare(
                name,
                ours,
                peer,
                peer_name="pytorch_grad_cam.HiResCAM",
                difference=difference,
                tolerance=1e-5,
                packages=("torch", "grad-cam"),
            )
