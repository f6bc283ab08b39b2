"""The key opens with its passphrase and commitment, and with nothing else."""

import hashlib
import json

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ctlab.files import canonical
from reader_study.blinding import sealed_key
from reader_study.blinding.sealed_key import (
    read_passphrase,
    seal,
    unseal,
)

SECRET = {"arms": ["alpha", "bravo"], "seed": "123456789"}


def test_scrypt_at_full_cost_and_the_format_worked_out_again_with_the_standard_library():
    sealed, commitment = seal(SECRET, "a long passphrase")
    box = json.loads(sealed)
    cost = box["scrypt"]
    assert cost["n"] * cost["r"] * 128 >= 2**27, "at least 128 MiB for each guess"
    import base64

    salt, iv = base64.b64decode(cost["salt"]), base64.b64decode(box["aes_256_gcm"]["iv"])
    key = hashlib.scrypt(
        b"a long passphrase", salt=salt, n=cost["n"], r=cost["r"], p=1, maxmem=2**28, dklen=32
    )
    header = {n: box[n] for n in ("format_version", "kind", "scrypt", "aes_256_gcm")}
    plain = AESGCM(key).decrypt(iv, base64.b64decode(box["ciphertext"]), canonical(header).encode())
    assert hashlib.sha256(plain).hexdigest() == commitment
    assert {n: json.loads(plain)[n] for n in SECRET} == SECRET
    assert len(json.loads(plain)["nonce"]) == 64


@pytest.mark.usefixtures("cheap_seal")
def test_two_seals_of_one_secret_have_nothing_in_common():
    (one, first), (two, second) = (seal(SECRET, "a long passphrase") for _ in range(2))
    assert first != second
    assert json.loads(one)["ciphertext"][:16] != json.loads(two)["ciphertext"][:16]
    assert b"alpha" not in one


@pytest.mark.usefixtures("cheap_seal")
def test_what_is_wrong_is_refused():
    sealed, commitment = seal(SECRET, "a long passphrase")
    with pytest.raises(ValueError, match="wrong passphrase"):
        unseal(sealed, "another passphrase", commitment=commitment)
    with pytest.raises(ValueError, match="committed to"):
        unseal(sealed, "a long passphrase", commitment="0" * 64)
    box = json.loads(sealed)
    cheaper = json.dumps({**box, "scrypt": {**box["scrypt"], "p": 2}}).encode()
    with pytest.raises(ValueError, match="wrong passphrase, or"):
        unseal(cheaper, "a long passphrase", commitment=commitment)
    costly = json.dumps({**box, "scrypt": {**box["scrypt"], "n": 2**40}}).encode()
    with pytest.raises(ValueError, match="memory"):
        unseal(costly, "a long passphrase", commitment=commitment)
    newer = json.dumps({**box, "format_version": 99}).encode()
    with pytest.raises(ValueError, match="newer ctlab"):
        unseal(newer, "a long passphrase", commitment=commitment)
    for junk in (b"", b"{}", b"\xff\xfe", b"[1]", b'"text"'):
        with pytest.raises(ValueError, match="no sealed key"):
            unseal(junk, "a long passphrase", commitment=commitment)


@pytest.mark.parametrize("position", [0, 7, -1])
def test_one_flipped_bit_of_the_cipher_is_noticed(position, cheap_seal):
    import base64

    sealed, commitment = seal(SECRET, "a long passphrase")
    box = json.loads(sealed)
    cipher = bytearray(base64.b64decode(box["ciphertext"]))
    cipher[position] ^= 1
    box["ciphertext"] = base64.b64encode(bytes(cipher)).decode()
    with pytest.raises(ValueError, match="was changed"):
        unseal(json.dumps(box).encode(), "a long passphrase", commitment=commitment)


def test_a_short_passphrase_is_refused(tmp_path):
    path = tmp_path / "pass"
    path.write_text("short\n")
    with pytest.raises(ValueError, match="at least 12"):
        read_passphrase(path)
    path.write_text("  five words are long enough  \nnot this line\n")
    assert read_passphrase(path) == "five words are long enough"
    assert sealed_key.SHORTEST_PASSPHRASE == 12
