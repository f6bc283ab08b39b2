"""Write the tiny CT images of ``tests/data/codecs``, one a transfer syntax.

The images are computed; no patient is in them. The files were written by programs that the
project does not use itself, so a fault common to writer and reader would show: DCMTK 3.6.7
(``dcmcjpeg``, ``dcmcjpls``, ``dcmcrle``, ``dcmconv``) and imagecodecs 2026.3.6 (OpenJPEG and
OpenJPH). What a lossy file must decode to is in ``lossy.npz``, decoded by DCMTK's ``dcmdjpeg`` and
``dcmdjpls`` and by imagecodecs. Needs these programs: ``python tests/data/codecs_corpus.py``.
"""

import subprocess
from pathlib import Path

import numpy as np
from fuzz_corpus import toy
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

FOLDER = Path(__file__).parent / "codecs"
SIZE = 32

DCMTK = {
    "jpeg-baseline": ("dcmcjpeg", "+eb", "+q", "95"),
    "jpeg-extended": ("dcmcjpeg", "+ee", "+q", "95"),
    "jpeg-lossless-57": ("dcmcjpeg", "+el", "+sv", "6"),
    "jpeg-lossless-70": ("dcmcjpeg", "+e1"),
    "jpeg-ls": ("dcmcjpls", "+el"),
    "jpeg-ls-near": ("dcmcjpls", "+en", "+md", "3"),
    "rle": ("dcmcrle",),
    "deflated": ("dcmconv", "+td"),
    "big-endian": ("dcmconv", "+tb"),
    "implicit": ("dcmconv", "+ti"),
    "explicit": ("dcmconv", "+te"),
}
IMAGECODECS = {
    "jpeg-2000": "1.2.840.10008.1.2.4.90",
    "jpeg-2000-lossy": "1.2.840.10008.1.2.4.91",
    "htj2k": "1.2.840.10008.1.2.4.201",
    "htj2k-rpcl": "1.2.840.10008.1.2.4.202",
    "htj2k-lossy": "1.2.840.10008.1.2.4.203",
}


def stored_values(name: str) -> np.ndarray:
    """A disc of water with a gradient and a bright square, air and negative fill around it.

    Signed 16 bits; near-lossless JPEG-LS holds unsigned ones, JPEG extended 12, JPEG baseline 8.
    """
    y, x = np.mgrid[:SIZE, :SIZE]
    inside = (y - 15.5) ** 2 + (x - 15.5) ** 2 < 144
    values = np.where(inside, 1000 + 5 * x - 3 * y, 24).astype(np.int16)
    values[12:16, 18:22] = 2300
    if name in ("jpeg-extended", "jpeg-ls-near"):
        return values.astype(np.uint16)
    if name == "jpeg-baseline":
        return (values // 16).astype(np.uint8)
    values[:3, :5] = -2000
    return values


def image(name: str) -> Dataset:
    """The image before it is encoded; HU are stored values times slope less 1024."""
    dataset = toy()
    stored = stored_values(name)
    bits = {"jpeg-extended": 12, "jpeg-baseline": 8}.get(name, 16)
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = 8 * stored.dtype.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.RescaleSlope = 16 if name == "jpeg-baseline" else 1
    dataset.PixelData = stored.tobytes()
    return dataset


def by_dcmtk(name: str) -> np.ndarray:
    """Encode with DCMTK; what DCMTK decodes from that."""
    program, *options = DCMTK[name]
    plain, out = FOLDER / "plain.dcm", FOLDER / f"{name}.dcm"
    image(name).save_as(plain, enforce_file_format=True)
    subprocess.run([program, *options, plain, out], check=True)
    decoder = {"dcmcjpeg": "dcmdjpeg", "dcmcjpls": "dcmdjpls", "dcmcrle": "dcmdrle"}
    subprocess.run([decoder.get(program, "dcmconv"), out, plain], check=True)
    decoded = dcmread(plain).pixel_array
    plain.unlink()
    return decoded


def by_imagecodecs(name: str) -> np.ndarray:
    """Encode with imagecodecs; what imagecodecs decodes from that."""
    import imagecodecs

    dataset, stored = image(name), stored_values(name)
    lossy = name.endswith("lossy")
    if name.startswith("jpeg"):
        data = imagecodecs.jpeg2k_encode(
            stored, level=75 if lossy else 0, codecformat="j2k", reversible=not lossy
        )
        decoded = imagecodecs.jpeg2k_decode(data)
    else:
        options = {"level": 0.0002} if lossy else {}
        data = imagecodecs.htj2k_encode(stored, reversible=not lossy, **options)
        decoded = imagecodecs.htj2k_decode(data)
    dataset.file_meta.TransferSyntaxUID = IMAGECODECS[name]
    dataset.PixelData = encapsulate([data])
    dataset["PixelData"].is_undefined_length = True
    if lossy:
        dataset.LossyImageCompression = "01"
    dataset.save_as(FOLDER / f"{name}.dcm", enforce_file_format=True)
    return decoded


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    lossy = {}
    for names, make in ((DCMTK, by_dcmtk), (IMAGECODECS, by_imagecodecs)):
        for name in names:
            decoded = make(name)
            if not np.array_equal(decoded, stored_values(name)):
                lossy[name] = decoded
    np.savez_compressed(FOLDER / "lossy.npz", **lossy)


if __name__ == "__main__":
    main()
