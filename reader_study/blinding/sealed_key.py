"""The sealed key: arms, roles and seed, encrypted to a passphrase that is stored nowhere.

Scrypt (RFC 7914) makes each guess of the passphrase cost about 128 MiB and half a second;
AES-256-GCM encrypts and detects any change. The commitment, published at lock, is the SHA-256 of
the plain text, which holds a 256-bit random nonce: nobody can test guesses against it, and nobody
can later present another key.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ctlab.files import canonical

FORMAT_VERSION = 1
SHORTEST_PASSPHRASE = 12
_COST = {"n": 2**17, "r": 8, "p": 1}


def read_passphrase(path: str | Path) -> str:
    """Passphrase from the first line of a file; too short a one is refused."""
    lines = Path(path).read_text("utf-8").splitlines()
    passphrase = lines[0].strip() if lines else ""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise ValueError(
            f"the passphrase in {path} has {len(passphrase)} characters; use at least "
            f"{SHORTEST_PASSPHRASE}, for example five random words"
        )
    return passphrase


def read_passphrases(paths: Sequence[str | Path]) -> str:
    """One passphrase of all files in their order: whoever opens the key again needs each of them.

    With two files, held by two people, neither can unblind alone.
    """
    return "\n".join(read_passphrase(path) for path in paths)


def seal(secret: dict[str, Any], passphrase: str) -> tuple[bytes, str]:
    """Sealed file of ``secret`` and its commitment (hex).

    Examples
    --------
    >>> sealed, commitment = seal({"seed": 7}, "correct horse battery")
    >>> unseal(sealed, "correct horse battery", commitment=commitment)["seed"]
    7
    """
    plain = canonical({**secret, "nonce": secrets.token_hex(32)}).encode()
    salt, iv = secrets.token_bytes(16), secrets.token_bytes(12)
    header = {
        "format_version": FORMAT_VERSION,
        "kind": "ctlab sealed key",
        "scrypt": {**_COST, "salt": base64.b64encode(salt).decode()},
        "aes_256_gcm": {"iv": base64.b64encode(iv).decode()},
    }
    cipher = AESGCM(_derive(passphrase, salt, _COST)).encrypt(iv, plain, canonical(header).encode())
    sealed = {**header, "ciphertext": base64.b64encode(cipher).decode()}
    return json.dumps(sealed, indent=1).encode(), hashlib.sha256(plain).hexdigest()


def unseal(sealed: bytes, passphrase: str, *, commitment: str) -> dict[str, Any]:
    """What was sealed.

    Raises
    ------
    ValueError
        No sealed key, a newer format, a wrong passphrase or a changed file, or a key that is not
        the one whose commitment was published at lock.
    """
    box = _read_box(sealed)
    header = {name: box[name] for name in ("format_version", "kind", "scrypt", "aes_256_gcm")}
    try:
        cost = {name: int(box["scrypt"][name]) for name in ("n", "r", "p")}
        if cost["n"] * cost["r"] * cost["p"] > 2**22:
            raise ValueError("it asks for more memory or time than any of ours")
        salt, iv, cipher = (
            base64.b64decode(text)
            for text in (box["scrypt"]["salt"], box["aes_256_gcm"]["iv"], box["ciphertext"])
        )
        plain = AESGCM(_derive(passphrase, salt, cost)).decrypt(
            iv, cipher, canonical(header).encode()
        )
    except InvalidTag:
        raise ValueError(
            "wrong passphrase, or the sealed key was changed; a key locked with two passphrases "
            "needs both, in the same order"
        ) from None
    except (KeyError, TypeError, ValueError, OverflowError, MemoryError) as error:
        raise ValueError(f"the sealed key was changed ({error})") from None
    if hashlib.sha256(plain).hexdigest() != commitment:
        raise ValueError("this is not the key that was committed to when the study was locked")
    secret: dict[str, Any] = json.loads(plain)
    return secret


def _read_box(sealed: bytes) -> dict[str, Any]:
    try:
        box: dict[str, Any] = json.loads(sealed)
        if box["kind"] != "ctlab sealed key":
            raise KeyError("kind")
        if box["format_version"] > FORMAT_VERSION:
            raise ValueError(
                f"the sealed key has format_version {box['format_version']}; this program reads "
                f"up to {FORMAT_VERSION}: install a newer ctlab"
            )
        box["scrypt"]["salt"], box["aes_256_gcm"]["iv"], box["ciphertext"]  # all must be there
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        raise ValueError("the file is no sealed key of a reader study") from None
    return box


def _derive(passphrase: str, salt: bytes, cost: dict[str, int]) -> bytes:
    return Scrypt(salt=salt, length=32, **cost).derive(passphrase.encode("utf-8"))
