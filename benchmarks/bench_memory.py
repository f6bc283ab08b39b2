"""Peak memory of every check of ``ctlab.assess`` on a series of 400 slices.

Each runs in a process of its own on 400 slices of 512 x 512 (0.4 GiB a volume in float32) and
reports the most memory the process ever held, series and interpreter included.
"""

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ctlab import assess
from ctlab.ct import LUNG, Volume
from ctlab.ct.tissue import tissue_masks

SLICES, SIDE = 400, 512
SPACING_MM = (1.0, 0.7, 0.7)


class Pair:
    """A chest-like series, and a second realisation of its noise."""

    def __init__(self, slices: int = SLICES, side: int = SIDE) -> None:
        rng = np.random.default_rng(0)
        y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        plane = np.where(np.hypot(y / 0.7, x / 0.9) < 1, 40.0, -1000.0)
        for centre in (-0.4, 0.4):
            plane[np.hypot(y / 0.45, (x - centre) / 0.3) < 1] = -850.0
        first, second = (
            (plane + rng.normal(0, 30, (8, side, side))).astype(np.float32) for _ in range(2)
        )
        self.plane = plane
        self.first = np.tile(first, (slices // 8, 1, 1))
        self.second = np.tile(second, (slices // 8, 1, 1))

    def volumes(self) -> tuple[Volume, Volume]:
        """Both realisations as series."""
        return Volume(self.first, SPACING_MM), Volume(self.second, SPACING_MM)


def _risk(pair: Pair) -> object:
    score = np.abs(pair.first - pair.second)
    limit = assess.RiskLimit(2.0, 0.1, "crc", None, 20, "simulated population", 0.05)
    curves = [
        assess.loss_curve(
            pair.first, pair.second, score, [0.5, 1.0], side=side, mask=pair.plane > 0
        )
        for side in ("added", "removed")
    ]
    return curves, assess.risk_maps(score, limit, limit)


CHECKS: dict[str, Callable[[Pair], object]] = {
    "series alone": lambda _: None,
    "psnr_db": lambda p: assess.psnr_db(p.first, p.second, window=LUNG),
    "psnr_db in a mask": lambda p: assess.psnr_db(
        p.first, p.second, range_hu=2000.0, mask=p.first > -500
    ),
    "rmse_hu, mae_hu, bias_hu": lambda p: [
        f(p.first, p.second) for f in (assess.rmse_hu, assess.mae_hu, assess.bias_hu)
    ],
    "ssim": lambda p: assess.ssim(p.first, p.second, window=LUNG),
    "ms_ssim": lambda p: assess.ms_ssim(p.first, p.second, window=LUNG),
    "gmsd": lambda p: assess.gmsd(p.first, p.second, window=LUNG),
    "vif": lambda p: assess.vif(p.first, p.second),
    "evaluate_volume": lambda p: assess.evaluate_volume(*p.volumes()),
    "tissue_masks": lambda p: tissue_masks(p.first),
    "noise_map": lambda p: assess.noise_map(p.first, p.second),
    "nps_by_tissue": lambda p: assess.nps_by_tissue(p.first, p.second, SPACING_MM),
    "z_correlation": lambda p: assess.z_correlation(p.first, p.second, SPACING_MM),
    "z_banding_hu": lambda p: assess.z_banding_hu(p.first, p.second),
    "loss_curve and risk_maps": _risk,
    "hidden_information, middle": lambda p: assess.hidden_information(
        p.first[:, 192:320, 192:320], p.second[:, 192:320, 192:320], roundings_hu=(1.0,)
    ),
    "check_applicability": lambda p: assess.check_applicability(
        p.volumes()[0], {"range_of_use": {"noise_hu": [10, 50]}}
    ),
}


def peak_gib(name: str) -> float:
    """Peak memory of one check, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench_memory", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip()}")
    return float(done.stdout)


def results() -> Iterator[dict[str, Any]]:
    """GiB of each check."""
    for name in CHECKS:
        yield {
            "name": f"peak memory on {SLICES} slices: {name}",
            "value": peak_gib(name),
            "unit": "GiB",
        }


if __name__ == "__main__":  # the process of one check
    CHECKS[sys.argv[1]](Pair())
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(f"{kib / 2**20:.3f}\n")
