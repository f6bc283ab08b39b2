"""Reader codes: 256 random bits, shown once; only their hash is stored."""

import hashlib
import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32: no I, L, O, U


def new_code() -> str:
    """Random code of 52 characters in groups of four."""
    number = secrets.randbits(256)
    text = "".join(_ALPHABET[(number >> shift) & 31] for shift in range(0, 260, 5))
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))


def hash_of(code: str) -> str:
    """SHA-256 of the code, however it was typed: case, spaces, dashes and O/0 do not matter.

    A slow hash would add nothing: nobody guesses 256 random bits.

    Examples
    --------
    >>> hash_of("abcd-10") == hash_of("ABCD IO")
    True
    """
    text = "".join(character for character in code.upper() if character.isalnum())
    text = text.translate(str.maketrans("OIL", "011"))
    return hashlib.sha256(text.encode()).hexdigest()
