"""Lets libraries that import torchvision run beside a CPU build of torch.

The Python index has no CPU build of torchvision. Its CUDA build cannot load its compiled
operators beside a CPU torch and then fails while it registers shape rules for two of them
(pytorch/vision, issues 9077 and 9085). Declaring the two schemas, without an implementation,
lets the import finish; nothing here ever calls them. Where torchvision imports by itself,
nothing is done.
"""

import importlib
import random
import sys
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_MISSING = "operator torchvision::nms does not exist"
_declared: list[torch.library.Library] = []  # a library that is collected takes its schemas along


def torchvision_imports() -> bool:
    """Whether ``import torchvision`` works, after declaring the missing schemas if need be.

    False where torchvision is not installed at all. Any other failure is raised as it is.
    """
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        return False
    except RuntimeError as error:
        if _MISSING not in str(error) or _declared:
            raise
        _declare()
        importlib.import_module("torchvision")
    return True


def import_with_torchvision(name: str) -> ModuleType:
    """The module ``name``, which itself imports torchvision.

    Raises
    ------
    ModuleNotFoundError
        The module, or torchvision, is not installed: ``pip install ctlab[explain]``.

    Examples
    --------
    >>> import_with_torchvision("pytorch_grad_cam").__name__
    'pytorch_grad_cam'
    """
    if not torchvision_imports():
        raise ModuleNotFoundError(
            f"{name} needs torchvision; install the part with: pip install 'ctlab[explain]'",
            name="torchvision",
        )
    # What these libraries import draws from Python's global generator; a caller's seed survives.
    state = random.getstate()
    try:
        return importlib.import_module(name)
    finally:
        random.setstate(state)


def _declare() -> None:
    """Declares the two schemas and forgets the half-imported modules."""
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]  # torch declares none
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]  # nor here
    _declared.append(library)
    for name in [m for m in sys.modules if m == "torchvision" or m.startswith("torchvision.")]:
        del sys.modules[name]
