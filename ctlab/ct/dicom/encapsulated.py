"""How many images encapsulated pixel data hold, and where they end (DICOM PS3.5, A.4)."""

import struct
from typing import BinaryIO

RLE = "1.2.840.10008.1.2.5"

_ITEM = 0xFFFEE000
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0c")
"""First bytes of an image: JPEG and JPEG-LS, JPEG 2000, and JPEG 2000 in a file format."""


def end_and_images(stream: BinaryIO, start: int, syntax: str) -> tuple[int, int]:
    """Where the items end, each with its length, up to the delimiter; and how many images.

    An image may be spread over several fragments; each begins with a marker of its own, and the
    offset table has an entry for each. Of RLE every fragment is an image.
    """
    needed, fragments, begun, listed = start, -1, 0, 0
    while True:
        stream.seek(needed)
        head = stream.read(12)
        needed += 8
        if len(head) < 8:
            break
        group, element, length = struct.unpack("<HHI", head[:8])
        if group << 16 | element != _ITEM:
            break
        fragments += 1
        if fragments == 0:
            listed = length // 4
        elif head[8:].startswith(_STARTS):
            begun += 1
        needed += length
    return needed, max(listed, begun, fragments if syntax == RLE else 0)
