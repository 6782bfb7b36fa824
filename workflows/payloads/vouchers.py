"""How one who lacks the key of a payload knows that it is genuine.

While keys are changed, some have a new key first. What it encrypts others cannot read yet, and must not set
aside: it would be lost. But anybody can name a key that nobody has. So a payload has a voucher for each other
key of its sender: a tag (GMAC) over it, which who has one of those keys can check.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: Where a payload has its vouchers.
VOUCHERS = "vouchers"
NONCE_BYTES = 12
#: So many are looked at.
MOST = 100


def vouchers(ciphers: Mapping[str, AESGCM], said: bytes, data: bytes) -> bytes:
    """Vouchers by these keys for encrypted ``data``, and for what is ``said`` of it in the clear."""
    what = _vouched(said, data)
    made = []
    for name, cipher in ciphers.items():
        nonce = secrets.token_bytes(NONCE_BYTES)
        made.append(f"{name}:".encode() + base64.b64encode(nonce + cipher.encrypt(nonce, b"", what)))
    return b" ".join(made)


def is_vouched(found: bytes, ciphers: Mapping[str, AESGCM], said: bytes, data: bytes) -> bool:
    """Whether one of the vouchers that were ``found`` is by one of these keys, and for this."""
    from cryptography.exceptions import InvalidTag

    what = _vouched(said, data) if found else b""
    for voucher in found.split(b" ", MOST)[:MOST]:
        name, _, tag = voucher.partition(b":")
        if (cipher := ciphers.get(name.decode("utf-8", "replace"))) is None:
            continue
        try:
            raw = base64.b64decode(tag, validate=True)
            cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], what)
        except (binascii.Error, ValueError, InvalidTag):
            continue
        return True
    return False


def _vouched(said: bytes, data: bytes) -> bytes:
    # Nothing else that a key authenticates begins so.
    return b"voucher:" + hashlib.sha256(b"%d:%s" % (len(said), said) + data).digest()
