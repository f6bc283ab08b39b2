"""A live figure whose kernel is a process of its own: the same messages, over a pair of pipes.

A message is the length of a JSON text (4 bytes, little-endian), that text, and the bytes of its
arrays, whose lengths the text gives as ``sizes``. In a pipe, the length of the message comes first.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import IO, Any

from ctlab.view.live.viewer import LiveViewer

_LENGTH = struct.Struct("<I")
_LARGEST = 1 << 26  # bytes; the maps of a slice of 1024 x 1024 are a fifth of it
_OF_WIDGETS_ALONE = {"layout", "tabbable", "tooltip"}


def pack(content: Mapping[str, Any], arrays: Sequence[Any] = ()) -> bytes:
    """One message.

    Examples
    --------
    >>> unpack(pack({"id": 7}, [b"ab", b""]))
    ({'id': 7}, [b'ab', b''])
    """
    text = json.dumps({**content, "sizes": [len(array) for array in arrays]}).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *map(bytes, arrays)])


def unpack(message: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Content and arrays of a message.

    Raises
    ------
    ValueError
        It is none.
    """
    try:
        (length,) = _LENGTH.unpack_from(message)
        content = json.loads(message[4 : 4 + length])
        sizes = content.pop("sizes")
        ends = [4 + length + sum(sizes[:k]) for k in range(len(sizes) + 1)]
        if min(sizes, default=0) < 0 or ends[-1] != len(message):
            raise ValueError("sizes do not add up")
    except (struct.error, ValueError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"expected a message of a live figure, got {len(message)} bytes that are none ({error})"
        ) from None
    return content, [message[a:b] for a, b in pairwise(ends)]


def read_message(pipe: IO[bytes]) -> bytes | None:
    """The next message of a pipe; None at its end.

    Raises
    ------
    ValueError
        It is longer than any that a figure sends.
    """
    head = pipe.read(4)
    if len(head) < 4:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > _LARGEST:
        raise ValueError(f"expected a message of at most {_LARGEST} bytes, got {length}")
    message = pipe.read(length)
    return message if len(message) == length else None


def write_message(pipe: IO[bytes], message: bytes) -> None:
    """Put a message into a pipe."""
    pipe.write(_LENGTH.pack(len(message)) + message)
    pipe.flush()


def answer_questions(viewer: LiveViewer, questions: IO[bytes], answers: IO[bytes]) -> None:
    """Say what a figure shows at first, then answer what is asked, until the pipe ends.

    The first message has the traits of the figure as ``traits``, and as ``arrays`` the names of
    those that follow as bytes.
    """
    traits = {k: v for k, v in viewer.get_state().items() if k[0] != "_"}
    pixels = {k: v for k, v in traits.items() if isinstance(v, bytes)}
    plain = {k: v for k, v in traits.items() if k not in {*pixels, *_OF_WIDGETS_ALONE}}
    opening = pack({"traits": plain, "arrays": list(pixels)}, list(pixels.values()))
    write_message(answers, opening)
    while (question := read_message(questions)) is not None:
        try:
            reply, arrays = viewer.reply(*unpack(question))
        except ValueError as error:
            reply, arrays = {"id": None, "error": str(error)}, []
        write_message(answers, pack(reply, arrays))
