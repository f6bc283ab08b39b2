"""Bytes of a file damaged as disks, cables and editors do, for the tests that hand them on."""

import random


def damaged(raw: bytes, draw: random.Random) -> bytes:
    """Cut short, bits flipped, a stretch overwritten, taken out or doubled."""
    way, at, stretch = draw.randrange(5), draw.randrange(len(raw)), draw.choice([1, 4, 100, 4096])
    if way == 0:
        return raw[:at]
    if way == 1:
        damaged = bytearray(raw)
        for _ in range(draw.choice([1, 3, 30])):
            damaged[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
        return bytes(damaged)
    put = {2: draw.randbytes(stretch), 3: b"", 4: raw[at : at + stretch] * 2}[way]
    return raw[:at] + put + raw[at + stretch :]
