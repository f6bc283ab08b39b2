"""One training step of the shipped recipe on the CPU: ours beside a plain eager step.

Ours merges passes: real and made images share one batch, and the generators' images are made
once for both halves of the step.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.driver import compare
from benchmarks.peers.plain_step import plain_step
from ctlab.learn import TrainConfig, load_checkpoint, shipped_domains
from ctlab.learn.train.devices import has_fast_bf16, make_fabric
from ctlab.learn.train.loop import train
from ctlab.learn.train.state import TrainState


def facts() -> dict[str, Any]:
    """Checkpoint and processor; what this processor cannot try, with the reason."""
    torch.set_num_threads(1)
    run_facts = {
        "checkpoint_sha256": load_checkpoint().sha256,
        "threads": torch.get_num_threads(),
        "has_avx512_bf16": has_fast_bf16(),
    }
    if not has_fast_bf16():
        why = "no AVX512_BF16 here: bfloat16 is emulated and slower than float32"
        run_facts["not_tried"] = {"bfloat16": why}
    return run_facts


def results() -> Iterator[dict[str, Any]]:
    """The same arithmetic in float32, then bfloat16 where the hardware has it."""
    plain = load_checkpoint().config.model_copy(update={"precision": "32-true", "steps": 10**6})
    kinds = [("float32", plain, 1e-3)]
    if has_fast_bf16():
        kinds.append(("bfloat16", plain.model_copy(update={"precision": "bf16-mixed"}), 0.05))
    for name, config, tolerance in kinds:
        ours = _ours(config)
        fabric = make_fabric(plain, accelerator="cpu")
        peer = plain_step(plain, _state(), *shipped_domains(), fabric=fabric)
        ours(), peer()  # so that what is compared next depends on a whole step of each
        yield compare(
            f"training step, 64 px, batch {config.batch} and {config.cycle_batch}, {name}",
            ours,
            peer,
            peer_name="eager float32 PyTorch, separate passes",
            difference=lambda a, b: abs(a - b) / abs(b),
            tolerance=tolerance,
            packages=("torch", "lightning-fabric"),
            rounds=9,
        )


def _ours(config: TrainConfig) -> Callable[[], float]:
    fabric = make_fabric(config, accelerator="cpu")
    rows = train(config, *shipped_domains(), state=_state(), fabric=fabric)
    return lambda: next(rows)["generator_cycle_full"]


def _state() -> TrainState:
    """Weights of the shipped checkpoint at an even step, so that every other call has a penalty."""
    state = load_checkpoint().train_state()
    state.step = 0
    return state
