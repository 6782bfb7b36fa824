"""Payload encryption: keys rotate, and a missing one is named."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import WorkflowSerializationContext

from tests.support.cli import Cli
from timeline.errors import EncryptionError, UnboundError
from workflows.payloads.codec import TimelineCodec, is_state
from workflows.payloads.encryption import ENCODING, Keys, new_key
from workflows.payloads.guarded import WorkerCodec
from workflows.payloads.unreadable import OTHERS, PERHAPS, REFUSED, key_of, wanting


def coded(payload: Payload) -> Payload:
    return asyncio.run(TimelineCodec().encode([payload]))[0]


def decoded(payload: Payload) -> Payload:
    return asyncio.run(TimelineCodec().decode([payload]))[0]


def keys_file(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644])
def test_a_keys_file_that_others_can_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    line = new_key("2026-11")
    monkeypatch.setenv("TIMELINE_ENCRYPTION_KEYS_FILE", keys_file(tmp_path / "keys", line, mode))
    with pytest.raises(
        EncryptionError, match=rf"keys can be read by others \(mode {mode:o}\): `chmod 600"
    ) as e:
        coded(Payload(data=b"x"))
    assert line.partition(":")[2] not in str(e.value)


def test_keys_rotate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'"x"')
    before = coded(plain)
    assert before == plain
    old, new = new_key("2026-10"), new_key("2026-11")
    file = tmp_path / "keys"
    keys_file(file, f"# the first one encrypts\n{old}\n")
    monkeypatch.setenv("TIMELINE_ENCRYPTION_KEYS_FILE", str(file))
    first = coded(plain)
    assert first.metadata == {"encoding": ENCODING, "key-id": b"2026-10", "workflow": b""}
    both = tmp_path / "both"
    keys_file(both, f"{new}\n{old}\n")
    monkeypatch.setenv("TIMELINE_ENCRYPTION_KEYS_FILE", str(both))
    second = coded(plain)
    assert second.metadata["key-id"] == b"2026-11"
    assert [decoded(p) for p in (first, second)] == [plain] * 2
    with pytest.raises(EncryptionError, match="a payload is not encrypted, and here keys are set"):
        decoded(before)
    monkeypatch.setenv("TIMELINE_ENCRYPTION_PLAIN", "accept")
    assert decoded(before) == plain
    assert coded(plain).data != second.data  # another nonce each time
    only = tmp_path / "only"
    keys_file(only, new)
    monkeypatch.setenv("TIMELINE_ENCRYPTION_KEYS_FILE", str(only))
    with pytest.raises(EncryptionError, match="encrypted with key '2026-10', and here there are 2026-11"):
        decoded(first)
    monkeypatch.delenv("TIMELINE_ENCRYPTION_KEYS_FILE")
    with pytest.raises(EncryptionError, match="key '2026-11', and here no keys are set"):
        decoded(second)
    monkeypatch.setenv("TIMELINE_ENCRYPTION_KEY", new_key("2026-11"))
    with pytest.raises(EncryptionError, match="another key has the same name"):
        decoded(second)


def test_large_payloads_and_states(monkeypatch: pytest.MonkeyPatch) -> None:
    large = Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(["x" * 100] * 100).encode())
    state = Payload(metadata={"encoding": b"binary/plain"}, data=b"state" * 1_000)
    assert is_state(coded(state))
    assert not is_state(coded(large))
    monkeypatch.setenv("TIMELINE_ENCRYPTION_KEY", new_key("one"))
    assert len(coded(large).data) < 1_000  # compressed, then encrypted
    assert decoded(coded(large)) == large
    assert is_state(coded(state))  # a store that keeps it keeps it encrypted
    assert b"state" not in coded(state).data
    assert not is_state(coded(large))
    assert decoded(coded(state)) == state


def test_payloads_are_bound_to_their_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    line = new_key("one")
    monkeypatch.setenv("TIMELINE_ENCRYPTION_KEY", line)
    a, b = (TimelineCodec().with_context(WorkflowSerializationContext("default", i)) for i in ("a", "b"))
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'"x"')
    [bound] = asyncio.run(a.encode([plain]))
    assert asyncio.run(a.decode([bound])) == [plain]
    # A person who looks is told of every one.
    assert decoded(bound) == plain
    with pytest.raises(EncryptionError, match="was encrypted for the workflow a came to b"):
        asyncio.run(b.decode([bound]))
    with pytest.raises(EncryptionError, match="was encrypted for no workflow came to b"):
        asyncio.run(b.decode([coded(plain)]))
    bound.metadata["workflow"] = b"b"
    with pytest.raises(EncryptionError, match="what the payload says of itself was changed"):
        asyncio.run(b.decode([bound]))
    # Nor does it become one of a version that bound nothing.
    del bound.metadata["workflow"]
    with pytest.raises(EncryptionError, match="what the payload says of itself was changed"):
        asyncio.run(b.decode([bound]))


def test_what_is_bound_to_nothing_waits_for_who_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As version 0.2 wrote it. It is not set aside: what it says would be lost."""
    line = new_key("one")
    monkeypatch.setenv("TIMELINE_ENCRYPTION_KEY", line)
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'"x"')
    data = Keys([line], "here").ciphers["one"].encrypt(b"n" * 12, plain.SerializeToString(), b"one")
    old = Payload(metadata={"encoding": ENCODING, "key-id": b"one"}, data=b"n" * 12 + data)
    place = WorkflowSerializationContext("default", "a")
    assert decoded(old) == plain
    with pytest.raises(UnboundError, match="set TIMELINE_ENCRYPTION_UNBOUND=accept"):
        asyncio.run(TimelineCodec().with_context(place).decode([old]))
    [unread] = asyncio.run(WorkerCodec().with_context(place).decode([old]))
    assert wanting(unread) == OTHERS
    old.data += b"x"
    [unread] = asyncio.run(WorkerCodec().with_context(place).decode([old]))
    assert wanting(unread) == REFUSED
    old.data = old.data[:-1]
    monkeypatch.setenv("TIMELINE_ENCRYPTION_UNBOUND", "accept")
    [read] = asyncio.run(WorkerCodec().with_context(place).decode([old]))
    assert (read.data, key_of(read), wanting(read)) == (plain.data, b"one", None)


def read_by(monkeypatch: pytest.MonkeyPatch, keys: str, payload: Payload) -> Payload:
    with monkeypatch.context() as other:
        other.setenv("TIMELINE_ENCRYPTION_KEYS_FILE", keys)
        [read] = asyncio.run(WorkerCodec().decode([payload]))
        return read


def test_who_lacks_the_key_sees_by_a_voucher_whether_another_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, old, other = new_key("new"), new_key("old"), new_key("other")
    files = {
        "both": keys_file(tmp_path / "both", f"{new}\n{old}\n"),
        "new": keys_file(tmp_path / "new", new),
        "old": keys_file(tmp_path / "old", old),
        # A key of that name, and not that key.
        "namesake": keys_file(tmp_path / "namesake", new_key("old")),
        "other": keys_file(tmp_path / "other", other),
    }
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'"x"')
    sent = {}
    for name in ("both", "new"):
        monkeypatch.setenv("TIMELINE_ENCRYPTION_KEYS_FILE", files[name])
        sent[name] = coded(plain)
    # While there is one key only, nothing is added.
    assert sorted(sent["new"].metadata) == ["encoding", "key-id", "workflow"]
    found = {(by, of): wanting(read_by(monkeypatch, files[by], sent[of])) for by in files for of in sent}
    assert found == {
        ("both", "both"): None,
        ("both", "new"): None,
        ("new", "both"): None,
        ("new", "new"): None,
        ("old", "both"): OTHERS,
        ("old", "new"): PERHAPS,
        ("namesake", "both"): PERHAPS,
        ("namesake", "new"): PERHAPS,
        ("other", "both"): PERHAPS,
        ("other", "new"): PERHAPS,
    }
    monkeypatch.setenv("TIMELINE_ENCRYPTION_LOST_KEYS", "older, new")
    assert wanting(read_by(monkeypatch, files["old"], sent["both"])) == REFUSED
    assert wanting(read_by(monkeypatch, files["both"], sent["both"])) is None
    monkeypatch.delenv("TIMELINE_ENCRYPTION_LOST_KEYS")
    # A voucher is for one payload, with all that it says of itself.
    good, data = sent["both"].metadata, sent["both"].data
    for said, what in (
        ({}, data[:-1] + b"?"),
        ({"workflow": b"b"}, data),
        ({"key-id": b"newer"}, data),
        ({"vouchers": b"old:" + data[:40]}, data),
        ({"vouchers": b" ".join([b":", b"old", b"old:?"] * 90)}, data),
    ):
        forged = Payload(metadata={**good, **said}, data=what)
        assert wanting(read_by(monkeypatch, files["old"], forged)) == PERHAPS, said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("one", "must be ID:KEY, with 32 bytes in base64"),
        ("one:c2hvcnQ=", "must be ID:KEY, with 32 bytes in base64"),
        ("", "holds no key"),
    ],
)
def test_what_is_no_key(line: str, message: str) -> None:
    with pytest.raises(EncryptionError, match=message) as raised:
        Keys([line] if line else [], "here")
    assert "c2hvcnQ=" not in str(raised.value)


def test_command_line(local_cli: Cli) -> None:
    line = local_cli.good("keygen", "2026-11").strip()
    assert list(Keys([line], "here").ciphers) == ["2026-11"]
    assert "a key's name has letters" in local_cli.bad("keygen", "no spaces")
    assert local_cli.good("keygen", "2026-12", "--out", "keys") == ""
    keys = local_cli.folder / "keys"
    assert list(Keys(keys.read_text().split(), "here").ciphers) == ["2026-12"]
    assert keys.stat().st_mode & 0o777 == 0o600
    assert "keys is there already" in local_cli.bad("keygen", "2026-12", "--out", "keys")
    assert "cannot be written: No such file" in local_cli.bad("keygen", "2026-12", "--out", "nowhere/keys")
    local_cli.environment["TIMELINE_ENCRYPTION_KEYS_FILE"] = "nowhere"
    assert "TIMELINE_ENCRYPTION_KEYS_FILE nowhere cannot be read" in local_cli.bad("list")
