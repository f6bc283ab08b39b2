"""Anchors: number and hash of events, kept outside the database.

A chain that was cut short, or rewritten from some event on with every hash worked out anew, is
whole by itself. It is found out by what others hold: the receipts of readers, and ``anchors.txt``
beside the study, which the coordinator copies or mails to a place that he cannot change later.
"""

from pathlib import Path

import segno

ANCHORS = "anchors.txt"


def write_anchor(study: str | Path, seq: int, digest: str) -> None:
    """Append an anchor to ``anchors.txt``: at lock, at each receipt, at closing and unblinding."""
    with (Path(study) / ANCHORS).open("a", encoding="utf-8") as file:
        file.write(f"{seq}:{digest}\n")


def receipt_of(seq: int, digest: str) -> dict[str, str]:
    """The anchor that a reader takes along: ``receipt`` as text, ``qr`` as a picture's address.

    Examples
    --------
    >>> receipt = receipt_of(12, "9f" * 32)
    >>> receipt["receipt"][:9], receipt["qr"][:18]
    ('12:9f9f9f', 'data:image/svg+xml')
    """
    text = f"{seq}:{digest}"
    code = segno.make(text, error="m", micro=False)
    return {"receipt": text, "qr": code.svg_data_uri(scale=4, border=4, light="#fff")}


def read_anchors(paths: list[Path]) -> dict[int, str]:
    """Anchors from receipts: lines that hold ``<event number>:<64 hex digits>``.

    Raises
    ------
    ValueError
        A file is not there or no text, holds no anchor, or two anchors disagree about one event.
    """
    anchors: dict[int, str] = {}
    for path in paths:
        count = 0
        for word in _text(path).split():
            number, _, digest = word.partition(":")
            if not (number.isascii() and number.isdigit() and len(number) < 10):
                continue
            if len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef"):
                continue
            count += 1
            if anchors.setdefault(int(number), digest.lower()) != digest.lower():
                raise ValueError(f"{path}: two receipts disagree about event {number}")
        if not count:
            raise ValueError(f"{path} holds no receipt (a line like 12:9f86d0...)")
    return anchors


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{path} cannot be read as text; name files that hold receipts") from None
