"""Speed of training and denoising on this CPU: ``python -m benchmarks.speed_learn``.

Runs ``bench_train_step`` and ``bench_denoise`` and writes ``benchmarks/results/learn_speed.json``:
every comparison with its aim and whether it was met, and which aims this processor cannot try.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import report
from ctlab.files import write_whole
from ctlab.learn import load_checkpoint
from ctlab.learn.train.devices import has_fast_bf16

RESULTS = Path(__file__).parent / "results" / "learn_speed.json"
AIMS = {"training step": {"bfloat16": 1.6}, "denoise": {"": 3.0}}
"""Least median ratio to the peer, by how a name begins and what it ends in. In float32 a training
step has no aim but equal losses."""


def aim_of(name: str) -> float | None:
    """Aim of a comparison; ``None`` where only equality is asked for.

    Examples
    --------
    >>> aim_of("denoise 4 slices of 512x512, onnx"), aim_of("training step, 64 px, float32")
    (3.0, None)
    """
    found = [
        aim
        for start, ends in AIMS.items()
        for end, aim in ends.items()
        if name.startswith(start) and name.endswith(end)
    ]
    return found[0] if found else None


def with_aim(result: dict[str, Any]) -> dict[str, Any]:
    """The result with its aim, whether it was met, and the load of the machine."""
    aim = aim_of(result["name"])
    told = {} if aim is None else {"aim": aim, "aim_met": result["median_ratio"] >= aim}
    return result | told | {"load": round(os.getloadavg()[0], 1)}


def not_tried() -> dict[str, str]:
    """Aims that need what this machine has not, with the reason."""
    missed = {}
    if not has_fast_bf16():
        why = (
            "this processor has no AVX512_BF16, so that bfloat16 is emulated and slower than "
            "float32"
        )
        missed |= {"training step, bfloat16": why, "denoise, bfloat16": why}
    if not torch.cuda.is_available():
        why = "no CUDA device here; python -m benchmarks gpu_step measures it where there is one"
        missed["training step on a GPU"] = why
    return missed


def main(names: list[str]) -> int:
    """Run, print and write; exit 1 where answers differ. A missed aim is written down, no more."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {
        "command": "python -m benchmarks.speed_learn",
        "checkpoint_sha256": load_checkpoint().sha256,
        "threads": torch.get_num_threads(),
        "has_avx512_bf16": torch.cpu._is_avx512_bf16_supported(),
        "not_tried": not_tried(),
        "results": [],
    }
    for name in names or ("train_step", "denoise"):
        for result in importlib.import_module(f"benchmarks.bench_{name}").results():
            found["results"].append(with_aim(result))
            report(found["results"][-1])
            with write_whole(RESULTS) as part:
                part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0 if all(result["equal"] for result in found["results"]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
