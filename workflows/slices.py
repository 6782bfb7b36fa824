"""Starting many workflows: some in one run of the registry, the rest in the next ones.

A part of the registry's workflow, as `workflows.wiring` is. Whoever asked is told how far it is, and asks
again: so no update takes long, others are answered between, and what the registry has begun it remembers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from workflows.protocol.node import Place
from workflows.protocol.registry import GO_ON
from workflows.wiring import Wiring

with workflow.unsafe.imports_passed_through():
    from timeline.spec.spec import Spec
    from timeline.tables.wire import Wire
    from workflows.names import fragment_id

#: A run that has started so many nodes continues as new: Temporal lets one have 2 000 children that run,
#: and a timeline of 256 streams needs most of them.
STARTS_A_RUN = 200
#: Bytes of expressions in one slice: they all go to the server in one message.
SLICE_BYTES = 1 << 20

#: Timelines on one source, a stream of it, and what their nodes have to reach there.
Work = tuple[list[Spec], int, Place]


async def start_some(wiring: Wiring, work: Sequence[Work], begun: Mapping[str, Wire] | None = None) -> bool:
    """Starts what ``work`` lacks, if that is much. False if it is little: it is for the caller then.

    ``begun`` are the specs, by name, that are remembered while not all is started.

    Raises:
        ApplicationError: of type `GO_ON`: there is more.
    """
    lacking = [(one, missing) for one in work if (missing := _lacking(wiring, one))]
    left = sum(len(missing) for _, missing in lacking)
    goes_on = any(name in wiring.state.get("begun", {}) for name in begun or {})
    if not (left > STARTS_A_RUN or goes_on) or not workflow.patched("slices"):
        return False
    if begun:
        wiring.state.setdefault("begun", {}).update(begun)
    slice_: list[Work] = []
    nodes = size = 0
    # Others may have used up what this run may start.
    for one, missing in lacking if wiring.started < STARTS_A_RUN else []:
        if nodes >= STARTS_A_RUN or size >= SLICE_BYTES:
            break
        slice_.append(one)
        nodes += len(missing)
        size += sum(map(len, missing.values()))
    await asyncio.gather(*(wiring.start(*one) for one in slice_))
    left -= nodes
    if left:
        every = len({i for specs, stream, _ in work for i in _fragments(specs, stream)})
        raise ApplicationError(
            f"{every - left} of {every} workflows started; ask again",
            every - left,
            every,
            type=GO_ON,
            non_retryable=True,
        )
    return True


def _lacking(wiring: Wiring, one: Work) -> dict[str, str]:
    """The workflows that timelines need on a stream and that are not yet theirs, with their expressions."""
    users = wiring.state["users"]
    specs, stream, _ = one
    return {
        workflow_id: text
        for spec in specs
        for workflow_id, text in _fragments([spec], stream).items()
        if spec.name not in users.get(workflow_id, [])
    }


def _fragments(specs: Sequence[Spec], stream: int) -> dict[str, str]:
    return {fragment_id(s, f, stream): f.root.text for s in specs for f in s.fragments}
