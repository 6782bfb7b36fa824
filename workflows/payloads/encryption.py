"""Encryption of payloads before anything reaches the Temporal server: AES-256-GCM, by keys that have names.

``TIMELINE_ENCRYPTION_KEYS_FILE`` names a file with lines ``ID:KEY`` (32 bytes in base64, as `timeline
keygen` makes them; lines that begin with # do not count): the first encrypts, all decrypt. So a new key
is put first, and the old one stays as long as anything that it encrypted does. ``TIMELINE_ENCRYPTION_KEY``
may hold such a line itself.

What is encrypted is bound to the workflow that it is for, by its id: taken from there and sent to another
one, it is refused. Who lacks the key of a payload can see all the same whether it is genuine
(`workflows.payloads.vouchers`).
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload

from timeline.errors import EncryptionError, ServiceError, UnboundError, UnknownKeyError, shortened
from workflows.disk import secret_lines
from workflows.payloads.vouchers import NONCE_BYTES, VOUCHERS, is_vouched, vouchers

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENCODING = b"binary/encrypted"
KEY_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: The encoding of a carried state, by which stores know it; what is encrypted says so beside.
STATE = b"binary/plain"
#: Where a frozen piece of one has its name, encrypted or not, so that a store knows it again.
PIECE = "piece"
#: Where it says, in the clear, for which workflow it is; nothing there if for none. And by which key it was
#: encrypted.
PLACE, KEY = "workflow", "key-id"


class Keys:
    """Keys by name; the first of them encrypts."""

    def __init__(self, lines: list[str], where: str) -> None:
        # Imported only where encryption is on: it costs a command 50 ms.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self.ciphers: dict[str, AESGCM] = {}
        for number, line in enumerate(lines, start=1):
            name, _, text = line.partition(":")
            key = _decoded(text.strip())
            if not _ID.fullmatch(name) or key is None:
                raise EncryptionError(
                    f"{where}, key {number}: must be ID:KEY, with {KEY_BYTES} bytes in base64 as the key; "
                    "make one with `timeline keygen ID`"
                )
            if name in self.ciphers:
                raise EncryptionError(f"{where}: two keys are named {name!r}; give each a name of its own")
            self.ciphers[name] = AESGCM(key)
        if not self.ciphers:
            raise EncryptionError(f"{where} holds no key; make one with `timeline keygen ID`")

    def encrypt(self, payload: Payload, place: str | None = None) -> Payload:
        """The whole payload as one that only says by which key it was encrypted, for the workflow of which
        id (``None``: for none), and if it is a state. What it says is authenticated."""
        (name, cipher), *others = self.ciphers.items()
        nonce = secrets.token_bytes(NONCE_BYTES)
        metadata = {"encoding": ENCODING, KEY: name.encode(), PLACE: (place or "").encode()}
        if payload.metadata.get("encoding") == STATE:
            metadata["state"] = b"1"
        if PIECE in payload.metadata:
            metadata[PIECE] = payload.metadata[PIECE]
        data = nonce + cipher.encrypt(nonce, payload.SerializeToString(), _bound(metadata))
        if others:
            metadata[VOUCHERS] = vouchers(dict(others), _bound(metadata), data)
        return Payload(metadata=metadata, data=data)


def _bound(metadata: Mapping[str, bytes]) -> bytes:
    """What is authenticated beside a payload: all that it says in the clear."""
    if PLACE not in metadata:  # of a version that bound nothing but the key's name
        return metadata.get(KEY, b"")
    parts = [metadata.get(name, b"") for name in (KEY, PLACE, "state", PIECE)]
    return b"".join(b"%d:%s" % (len(part), part) for part in parts)


def decrypt(payload: Payload, place: str | None = None) -> Payload:
    """The inverse of `Keys.encrypt`, by the workflow of the id ``place``; ``None`` is a person who looks.

    Raises:
        UnknownKeyError: there is no such key here; ``genuine`` says whether its sender has one of those.
        UnboundError: it does not say for which workflow it is, and must.
        EncryptionError: the key is another than the one of that name, this is no encrypted payload, or one
            for another workflow.
    """
    from cryptography.exceptions import InvalidTag

    name = payload.metadata.get(KEY, b"").decode("utf-8", "replace")
    known = keys()
    cipher = None if known is None else known.ciphers.get(name)
    if cipher is None:
        have = "no keys are set" if known is None else f"there are {', '.join(known.ciphers)}"
        found, said = payload.metadata.get(VOUCHERS, b""), _bound(payload.metadata)
        raise UnknownKeyError(
            f"a payload is encrypted with key {shortened(name, 64)!r}, and here {have}; set "
            "TIMELINE_ENCRYPTION_KEYS_FILE to a file that has it",
            name,
            genuine=known is not None and is_vouched(found, known.ciphers, said, payload.data),
        )
    nonce, data = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
    try:
        inner = Payload.FromString(cipher.decrypt(nonce, data, _bound(payload.metadata)))
    except (DecodeError, ValueError):
        raise EncryptionError(
            f"{len(data)} bytes that are said to be encrypted with key {name!r} are not"
        ) from None
    except InvalidTag:
        raise EncryptionError(
            f"key {name!r} does not decrypt a payload that names it: another key has the same name, or what "
            "the payload says of itself was changed"
        ) from None
    if place is not None:
        _check_place(payload.metadata, place)
    return inner


def _check_place(metadata: Mapping[str, bytes], place: str) -> None:
    if PLACE not in metadata:
        if os.environ.get("TIMELINE_ENCRYPTION_UNBOUND") == "accept":
            return
        raise UnboundError(
            "an encrypted payload does not say for which workflow it is, as those of version 0.2 and before; "
            "while they are being replaced, set TIMELINE_ENCRYPTION_UNBOUND=accept (docs/upgrading.md)"
        )
    if (bound := metadata[PLACE].decode("utf-8", "replace")) != place:
        raise EncryptionError(
            f"a payload that was encrypted for {f'the workflow {bound}' if bound else 'no workflow'} "
            f"came to {place}"
        )


def may_be_plain() -> None:
    """Looks whether a payload that is not encrypted may be read: not where there are keys, unless
    ``TIMELINE_ENCRYPTION_PLAIN=accept`` says that encryption is only being switched on.

    Raises:
        EncryptionError: it may not.
    """
    if keys() is None or os.environ.get("TIMELINE_ENCRYPTION_PLAIN") == "accept":
        return
    raise EncryptionError(
        "a payload is not encrypted, and here keys are set: whoever sent it has none; while encryption is "
        "being switched on, set TIMELINE_ENCRYPTION_PLAIN=accept"
    )


def lost_keys() -> frozenset[str]:
    """The names of keys that nobody has any more, from ``TIMELINE_ENCRYPTION_LOST_KEYS`` (commas between):
    signals that are encrypted with one of them are set aside, instead of waiting for a worker that has it."""
    names = os.environ.get("TIMELINE_ENCRYPTION_LOST_KEYS", "")
    return frozenset(name.strip() for name in names.split(",") if name.strip())


def keys() -> Keys | None:
    """The keys that the environment names; ``None`` if it names none, so that nothing is encrypted.

    Raises:
        EncryptionError: they cannot be read, or are no keys.
    """
    return _keys(
        os.environ.get("TIMELINE_ENCRYPTION_KEYS_FILE", ""), os.environ.get("TIMELINE_ENCRYPTION_KEY", "")
    )


def new_key(name: str) -> str:
    """A line for the keys file.

    Raises:
        EncryptionError: that cannot be a key's name.

    >>> len(Keys([new_key("2026-11")], "here").ciphers)
    1
    """
    if not _ID.fullmatch(name):
        raise EncryptionError(f"a key's name has letters, digits, dots, - and _, 64 at most; got {name!r}")
    return f"{name}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


@lru_cache(maxsize=4)
def _keys(file: str, line: str) -> Keys | None:
    if file and line:
        raise EncryptionError("set TIMELINE_ENCRYPTION_KEYS_FILE or TIMELINE_ENCRYPTION_KEY, not both")
    if line:
        return Keys([line.strip()], "TIMELINE_ENCRYPTION_KEY")
    if not file:
        return None
    try:
        return Keys(secret_lines("TIMELINE_ENCRYPTION_KEYS_FILE", file), file)
    except EncryptionError:
        raise
    except ServiceError as error:
        raise EncryptionError(str(error)) from None


def _decoded(text: str) -> bytes | None:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None
