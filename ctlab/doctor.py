"""What this installation can do: versions, GPU, DICOM codecs, optional parts."""

import importlib.util
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ctlab.threads import available_cores

PARTS = {
    "train": ["torch", "lightning-fabric", "tensorboard"],
    "explain": ["captum", "grad-cam", "highdicom", "torchvision"],
    "engines": ["onnx", "onnxruntime", "openvino"],
    "study": ["sqlalchemy", "cryptography", "ipywidgets", "voila", "statsmodels"],
    "fetch": ["idc-index"],
    "web": ["dicomweb-client"],
    "book": ["jupyter-book", "sphinx-exercise"],
}
CODECS = {
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG baseline": "1.2.840.10008.1.2.4.50",
    "JPEG extended": "1.2.840.10008.1.2.4.51",
    "JPEG lossless": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "HTJ2K": "1.2.840.10008.1.2.4.201",
}


def diagnose() -> dict[str, Any]:
    """Facts about this installation; ``ok`` is true when the core (no torch needed) works.

    Returns
    -------
    dict with ``ok``, ``ctlab``, ``python``, ``cores``, ``torch`` (version or None), ``cuda``
    (device name or None), ``codecs`` (name -> bool), ``parts`` (name -> list of missing
    packages), ``remedies`` (one sentence for each thing that is missing).
    """
    codecs = available_codecs()
    missing = {part: [p for p in packages if not _installed(p)] for part, packages in PARTS.items()}
    remedies = [
        f"{part} is not complete ({', '.join(gone)}): pip install -c constraints.txt -e '.[{part}]'"
        for part, gone in missing.items()
        if gone
    ]
    lost = [name for name, works in codecs.items() if not works]
    if lost:
        remedies.append(
            f"series compressed as {', '.join(lost)} cannot be read: "
            "pip install -c constraints.txt -e ."
        )
    torch_version, cuda = _torch()
    return {
        "ok": not lost,
        "ctlab": version("ctlab"),
        "python": platform.python_version(),
        "cores": available_cores(),
        "torch": torch_version,
        "cuda": cuda,
        "codecs": codecs,
        "parts": missing,
        "remedies": remedies,
    }


def available_codecs() -> dict[str, bool]:
    """Which compressed transfer syntaxes the reader can decode here, by name."""
    from ctlab.ct.dicom.pixels.decode import has_decoder

    return {name: has_decoder(uid) for name, uid in CODECS.items()}


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _torch() -> tuple[str | None, str | None]:
    if importlib.util.find_spec("torch") is None:
        return None, None
    import torch

    return torch.__version__, torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
