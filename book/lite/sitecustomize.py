"""An interpreter without torch: put this folder on PYTHONPATH.

Chapters of the lite route are executed in it, so that the book itself proves that they need no
torch. A module that is looked for is not found, as on a machine where it was never installed.
"""

import sys
from importlib.machinery import PathFinder

MISSING = frozenset(
    {"torch", "torchvision", "torchmetrics", "captum", "pytorch_grad_cam", "lightning_fabric"}
    | {"tensorboard", "onnx", "onnxruntime", "openvino", "accelerate"}
)


class _Finder(PathFinder):
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname.partition(".")[0] in MISSING:
            return None
        return super().find_spec(fullname, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = _Finder
