"""Files damaged as disks, cables and editors do: the one mutator of all tests that hand them on."""

import copy
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

OTHER_KINDS = [None, True, -1, 10**30, float("nan"), "", "x", "9" * 300, [], {}, ["a"], {"a": 1}]
OTHER_KINDS += [[[[[]]]], {"name": None}]
LENGTHS = (b"\xff\xff\xff\xff", b"\0\0\0\0")
"""Read as lengths and places they lead anywhere."""


def damaged(
    raw: bytes, draw: random.Random, *, start: int = 0, marks: Sequence[bytes] = LENGTHS
) -> bytes:
    """Cut short, bits flipped, a stretch overwritten, taken out or doubled; up to three of these.

    ``marks`` are bytes that mean something to the format; ``start`` is where its content begins.
    """
    data = bytearray(raw)
    for _ in range(draw.randint(1, 3)):
        if len(data) <= start:
            break
        at, stretch = draw.randrange(start, len(data)), draw.choice([1, 4, 30, 4096])
        match draw.randrange(6):
            case 0:
                del data[at:]
            case 1:
                for _ in range(draw.choice([1, 3, 30])):
                    data[draw.randrange(start, len(data))] ^= 1 << draw.randrange(8)
            case 2:
                data[at : at + stretch] = draw.randbytes(stretch)
            case 3:
                del data[at : at + stretch]
            case 4:
                data[at:at] = data[at : at + stretch]
            case _:
                data[at : at + 4] = draw.choice(marks)
    return bytes(data)


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place within lists and mappings."""
    parts = value.items() if isinstance(value, dict) else ()
    for name, part in enumerate(value) if isinstance(value, list) else parts:
        yield (*place, name)
        yield from places(part, (*place, name))


def changed(value: Any, draw: random.Random) -> Any:
    """A key removed or renamed, or a value of another kind."""
    value = copy.deepcopy(value)
    every = list(places(value))
    depth = draw.randrange(1, max(map(len, every)) + 1)
    *path, last = draw.choice([place for place in every if len(place) == depth])
    inner = value
    for name in path:
        inner = inner[name]
    way = draw.randrange(4)
    if way == 0:
        del inner[last]
    elif way == 1 and isinstance(inner, dict):
        inner["<b>extra"] = inner.pop(last)
    else:
        inner[last] = [inner[last]] if way == 2 else draw.choice(OTHER_KINDS)
    return value


def damaged_json(content: Any, seed: int, count: int) -> Iterator[bytes]:
    """Damaged files of a JSON object, among them one nested three thousand levels deep."""
    draw = random.Random(seed)
    yield b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"
    yield b"[1]"
    raw = json.dumps(content).encode()
    for number in range(count - 2):
        yield damaged(raw, draw) if number % 3 == 0 else json.dumps(changed(content, draw)).encode()
