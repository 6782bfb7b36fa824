"""Signals that a worker cannot read for want of a key: set aside, or left to a worker that can.

Whether a payload can be read depends on the keys of the worker, and a history may be replayed by one that has
others. So it is recorded in the history that a signal was set aside for that, and whoever replays it does
the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from temporalio import workflow
from temporalio.api.common.v1 import Payload

from workflows.payloads import encryption
from workflows.payloads.unreadable import OTHERS, PERHAPS, REFUSED, key_of, wanting

with workflow.unsafe.imports_passed_through():
    from timeline.errors import WireError


class Unread:
    """Of one run of a workflow."""

    def __init__(self) -> None:
        self._signals = 0
        #: Keys of signals that were taken: who goes on with this run must have them, and all that they
        #: encrypt is read.
        self._taken: set[bytes] = set()

    def look(self, payloads: Iterable[Payload]) -> None:
        """Looks at the arguments of a signal, of every one in the order in which they come.

        Raises:
            WireError: it is to be set aside.
            RuntimeError: another worker has the key, or is of the version, for it. The task fails, and is
                given to another worker: to set the signal aside would lose it.
        """
        self._signals += 1
        record = f"unread-{self._signals}"
        payloads = list(payloads)
        keys = {key for payload in payloads if (key := key_of(payload)) is not None}
        wants = {want: payload for payload in payloads if (want := wanting(payload)) is not None}
        replaying = workflow.unsafe.is_replaying()
        if not wants:
            # Plain payloads are read by all who read the start of this run, unless some have keys.
            differs = not keys <= self._taken if keys else encryption.keys() is not None
            if replaying and differs and workflow.patched(record):
                raise WireError("the worker that got it could not decrypt it, and it was set aside")
            self._taken |= keys
            return
        if replaying:
            # Not recorded: others have read it; or it was refused by a version that recorded nothing.
            left = not workflow.patched(record) and not wants.keys() <= {REFUSED}
        else:
            left = OTHERS in wants or (PERHAPS in wants and not keys.isdisjoint(self._taken))
            if not left:
                workflow.patched(record)
        why = next(iter(wants.values())).data.decode()
        raise RuntimeError(why) if left else WireError(why)
