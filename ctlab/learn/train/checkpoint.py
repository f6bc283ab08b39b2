"""Checkpoints: weights that know their units, their training and their limits.

A checkpoint is a dictionary of tensors and plain Python values, so that
``torch.load(weights_only=True)`` opens it without running code from the file.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctlab.ct import HuScale
from ctlab.ct.range_check import check_range
from ctlab.files import write_whole
from ctlab.input_files import check_archive, check_keys, declared
from ctlab.learn.config import TrainConfig
from ctlab.learn.train.state import STORED_NETWORKS, TrainState, build_denoiser

KIND = "ctlab.learn checkpoint"
FORMAT_VERSION = 1


class HuDenoiser(nn.Module):
    """Denoiser from HU to HU: a batch (B, 1, H, W) in, the same shape out.

    ``network`` is the trained network in network units, for hooks and attention maps.
    """

    def __init__(self, network: nn.Module, scale: HuScale) -> None:
        super().__init__()
        self.network = network
        self.scale = scale

    def forward(self, hu: Tensor) -> Tensor:
        """Denoised batch in HU."""
        denoised: Tensor = self.network(self.scale.to_net(hu))
        denoised_hu: Tensor = self.scale.to_hu(denoised)
        return denoised_hu


@dataclass(frozen=True)
class Checkpoint:
    """A trained denoiser and what is known about it.

    Attributes
    ----------
    config : TrainConfig
    scale : HuScale
        Units of the networks; the same as ``config.scale``, stored for readers of the file.
    card : dict
        Facts about the training data and the range of use; see :func:`applicability`.
    split_hash : str
        SHA-256 of the split it was trained on.
    code_version : str
    sha256 : str
        Of the file, to name this checkpoint in derived data.
    state : dict
        Networks, optimisers and step, as :meth:`TrainState.load_state_dict` takes them.
    """

    config: TrainConfig
    scale: HuScale
    card: dict[str, Any]
    split_hash: str
    code_version: str
    sha256: str
    state: dict[str, Any] = field(repr=False)

    @property
    def step(self) -> int:
        """Training steps done."""
        return int(self.state["step"])

    def denoiser(self, device: torch.device | str = "cpu") -> HuDenoiser:
        """The trained denoiser (averaged weights), ready for use; a new copy at each call."""
        network = build_denoiser(self.config)
        network.load_state_dict(denoiser_weights(self.state))
        network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        return HuDenoiser(network, self.scale).eval().requires_grad_(False)

    def train_state(self, device: torch.device | str = "cpu") -> TrainState:
        """State from which :func:`train` goes on; a new copy at each call."""
        state = TrainState.start(self.config, device)
        state.load_state_dict(self.state)
        return state


def save_checkpoint(
    path: str | Path,
    config: TrainConfig,
    state: TrainState,
    *,
    split_hash: str,
    card: dict[str, Any],
    with_optimisers: bool = True,
) -> None:
    """Write a checkpoint, whole or not at all.

    Without the moments of the optimisers the file is a third as large; training can still go
    on from it, but not as if it had never stopped.
    """
    scale = config.scale
    content = {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "code_version": version("ctlab"),
        "config": config.model_dump(mode="json"),
        "hu_scale": {"centre_hu": scale.centre_hu, "unit_hu": scale.unit_hu},
        "split_hash": split_hash,
        "card": _plain(card),
        "state": state.state_dict(with_optimisers=with_optimisers),
    }
    written = io.BytesIO()  # torch writes files by itself, and hides what the disk says
    torch.save(content, written)
    with write_whole(path) as part:
        part.write_bytes(written.getbuffer())


def _plain(value: Any) -> Any:
    """Python's own types in the place of NumPy's, which a file without code cannot hold."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.item() if hasattr(value, "item") else value


def load_checkpoint(path: str | Path | None = None, *, scale: HuScale | None = None) -> Checkpoint:
    """Checkpoint from a file, or the one that ships with the package.

    Parameters
    ----------
    path : path, optional
        Default: the shipped checkpoint (see its ``MODEL_CARD.md``).
    scale : HuScale, optional
        Units the caller works in, where he has any.

    Raises
    ------
    ValueError
        The file is no checkpoint of this package, is damaged or newer than this code, or works
        in other units than ``scale``.
    FileNotFoundError
        There is no such file.
    """
    if path is None:
        with as_file(files("ctlab.learn") / "shipped" / "checkpoint.pt") as shipped:
            return load_checkpoint(shipped, scale=scale)
    if Path(path).is_dir():
        raise ValueError(f"{path} is a folder; name a checkpoint file, as {path}/checkpoint.pt")
    raw = Path(path).read_bytes()
    content = _read(raw, path)
    written = content["format_version"]
    if written > FORMAT_VERSION:
        raise ValueError(
            f"{path} has checkpoint format {written}, this version reads up to {FORMAT_VERSION}; "
            "update ctlab"
        )
    with declared(path, "is a damaged checkpoint", _REMEDY):
        check_keys(content, _KINDS)
        check_keys(content["hu_scale"], {"centre_hu": float | int, "unit_hu": float | int})
        stored = HuScale(**content["hu_scale"])
        config = TrainConfig.from_dict(content["config"])
        _check_state(config, content["state"])
        check_range(content["card"])
    for other, whose in ((config.scale, "its own configuration"), (scale, "the scale asked for")):
        if other is not None and other != stored:
            raise ValueError(
                f"{path} works in units of {stored.unit_hu:g} HU around {stored.centre_hu:g} HU, "
                f"but {whose} has {other.unit_hu:g} HU around {other.centre_hu:g} HU; "
                "use a checkpoint trained at that scale"
            )
    return Checkpoint(
        config=config,
        scale=stored,
        card=content["card"],
        split_hash=content["split_hash"],
        code_version=content["code_version"],
        sha256=hashlib.sha256(raw).hexdigest(),
        state=content["state"],
    )


_REMEDY = "copy it again or train anew"
_KINDS = {
    **dict.fromkeys(("config", "hu_scale", "card", "state"), dict),
    **dict.fromkeys(("split_hash", "code_version"), str),
}


def _check_state(config: TrainConfig, state: dict[str, Any]) -> None:
    """Raise ``ValueError`` unless there are finite weights for the denoiser of a configuration.

    Shapes are compared without making the network: a configuration may ask for any size.
    """
    check_keys(state, {"step": int, STORED_NETWORKS: dict})
    weights = denoiser_weights(state)
    with torch.device("meta"):
        wanted = {name: w.shape for name, w in build_denoiser(config).state_dict().items()}
    stored = {n: w.shape if isinstance(w, Tensor) else type(w) for n, w in weights.items()}
    if wanted != stored:
        differ = sorted(n for n in {*wanted, *stored} if wanted.get(n) != stored.get(n))
        raise ValueError(f"weights that do not fit its configuration: {', '.join(differ)}")
    if not all(w.isfinite().all() for w in weights.values()):
        raise ValueError("weights that are no numbers")


def denoiser_weights(state: dict[str, Any]) -> dict[str, Tensor]:
    """Averaged weights of the denoiser in the state of a training, by their own names."""
    prefix = "denoiser_ema."
    stored = state[STORED_NETWORKS].items()
    return {k.removeprefix(prefix): w for k, w in stored if k.startswith(prefix)}


def _read(raw: bytes, path: str | Path) -> dict[str, Any]:
    """Content of a checkpoint file; ``ValueError`` for anything else."""
    try:
        check_archive(path)
        with warnings.catch_warnings():
            # A pickle of another protocol is read with a warning only; ours never warns.
            warnings.simplefilter("error", UserWarning)
            content = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except Exception as error:  # of pickle, zip or torch, which have no common class
        raise ValueError(
            f"{path} cannot be read as a checkpoint: it is cut short, damaged, or not a file that "
            "ctlab train wrote; copy it again or train anew"
        ) from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise ValueError(
            f"{path} is not a checkpoint of this package (kind {KIND!r} is missing); "
            "ctlab denoises with checkpoints that ctlab train wrote"
        )
    if not isinstance(content.get("format_version"), int):
        raise ValueError(f"{path} is a damaged checkpoint: format_version is not a number")
    return content
