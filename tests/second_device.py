"""A strict second device in memory, so that code for a GPU is tried where there is none.

Its tensors hold their values in tensors of the CPU, but PyTorch takes them for those of another
device, and as on a GPU nothing may be forgotten: an operation on tensors of both devices raises,
and so does ``numpy()`` before ``cpu()``. Values are the CPU's own to the last bit, so whatever
differs was not computed there. :func:`install` is for a process of its own: PyTorch cannot forget
a device.
"""

from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

NAME = "second"


class SecondTensor(torch.Tensor):
    """A tensor of the second device around one of the CPU, ``held``."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "SecondTensor":
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(NAME, 0),
        )
        made.held = held
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # Without autograd, operations made of others arrive whole.
        parts = op.decompose(*args, **kwargs)
        return _run(op, args, kwargs) if parts is NotImplemented else parts


def _run(op: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = op.name().partition(".")[0]
    crosses = name in ("aten::copy_", "aten::_to_copy")

    def held(value: Any) -> Any:
        if isinstance(value, SecondTensor):
            return value.held
        if isinstance(value, torch.Tensor) and value.dim() and not crosses:
            raise RuntimeError(f"{name} was given tensors on two devices, {NAME} and cpu")
        if isinstance(value, torch.device) and value.type == NAME:
            return torch.device("cpu")
        return value

    out = op(*tree_map(held, args), **tree_map(held, kwargs))
    to = kwargs.get("device")
    if crosses and (not isinstance(args[0], SecondTensor) if to is None else to.type == "cpu"):
        return out
    # An operation in place gives back what it was given.
    known = {id(v.held): v for v in tree_leaves((args, kwargs)) if isinstance(v, SecondTensor)}

    def lifted(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return known[id(value)] if id(value) in known else SecondTensor(value)

    return tree_map(lifted, out)


class _Module:
    """What PyTorch asks of ``torch.second``."""

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def _is_in_bad_fork(self) -> bool:
        return False

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def manual_seed_all(self, seed: int) -> None:
        """It draws with the CPU's generator."""

    def get_rng_state(self, device: int = 0) -> torch.Tensor:
        return torch.zeros(0, dtype=torch.uint8)

    def set_rng_state(self, state: torch.Tensor, device: int = 0) -> None:
        """It draws with the CPU's generator."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


_library: list[torch.library.Library] = []  # a registration lives as long as this


def install() -> None:
    """Let this process have the device ``second``."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(NAME, _Module())
    library = torch.library.Library("_", "IMPL")
    library.fallback(lambda op, *args, **kwargs: _run(op, args, kwargs), "PrivateUse1")
    _library.append(library)
