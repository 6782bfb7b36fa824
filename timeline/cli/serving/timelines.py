"""Routes of the timelines themselves: what there is, how they come, change, rest and go."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from timeline.cli.serving import models
from timeline.cli.serving.common import Name, Of, Timelines
from timeline.cli.serving.problems import responses
from timeline.cli.serving.registering import carry_out, propose, spec_in
from timeline.errors import Problem, SpecError
from timeline.plan import Plan, make_plan
from timeline.spec.loading import spec_of
from timeline.spec.spec import Spec
from workflows.client import Timeline as Known

router = APIRouter(tags=["timelines"])
NotFound = responses(404)


def _timeline(known: Known) -> dict[str, Any]:
    return {
        "name": known.name,
        "description": known.spec.description,
        "definition": known.spec.definition,
        "outputs": {name: kind.value for name, kind in known.outputs.items()},
        "source": known.spec.source_id,
        "streams": known.streams,
        "version": known.version,
        "paused": known.paused,
    }


@router.get("/timelines", responses=responses())
async def list_timelines(
    timelines: Timelines,
    after: Annotated[str | None, Query(max_length=63, description="Behind this name.")] = None,
    most: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> models.Timelines:
    """The registered timelines, by name."""
    every = await timelines.timelines()
    names = [name for name in sorted(every) if after is None or name > after]
    page = names[:most]
    more = page[-1] if len(names) > most else None
    return models.Timelines(timelines=[models.Timeline(**_timeline(every[name])) for name in page], next=more)


@router.get("/timelines/{name}", responses=NotFound)
async def describe(spec: Of, timelines: Timelines) -> models.Described:
    """A timeline: its spec, and position, counters and sizes of every node."""
    known = await timelines.timeline(spec.name)
    found = await timelines.nodes.of_timeline(spec)
    names = set(models.Node.model_fields) - {"node", "workflow"}
    nodes = [
        models.Node(
            node=node.text,
            workflow=workflow,
            **{k: v for k, v in state.items() if k in names},  # type: ignore[arg-type]
        )
        for node, workflow, state in found
    ]
    held = await timelines.nodes.quarantined(spec)
    fields = set(models.Quarantined.model_fields)
    return models.Described(
        **_timeline(known),
        spec=spec.to_wire(),
        nodes=nodes,
        quarantined=[
            models.Quarantined(**{k: v for k, v in one.items() if k in fields})  # type: ignore[arg-type]
            for one in held
        ],
        sinks=[dict(sink) for sink in await timelines.nodes.sinks(spec)],
    )


@router.put("/timelines/{name}", responses=responses(409, 415))
async def register(
    name: Name,
    timelines: Timelines,
    body: Annotated[
        dict[str, Any],
        Body(
            description="The spec, as its file says it, in JSON. Its name is that of the path.",
            examples=[{"expression": 'has_existed(state == "play")', "source": {"key": "session"}}],
        ),
    ],
    version: Annotated[
        int | None,
        Query(ge=1, le=1 << 53, description="The version that it replaces."),
    ] = None,
    dry_run: Annotated[bool, Query(description="Only say what would be done.")] = False,
    wait: Annotated[bool, Query(description="Wait until it is caught up with those that run.")] = False,
) -> models.Registered:
    """Register a timeline, or change the version of it that you have seen. Again, it changes nothing."""
    spec = _spec(name, body)
    proposal = await propose(timelines, spec)
    change = proposal.change
    told = None
    if change is not None:
        told = models.Change(
            stays=list(change.stays),
            new=list(change.new),
            goes=list(change.goes),
            settings=[models.Setting(place=p, before=b, after=a) for p, b, a in change.settings],
            anew=change.anew,
            moves=change.moves,
        )
    if dry_run:
        return models.Registered(
            name=name,
            done=False,
            version=proposal.version,
            new=proposal.new,
            replaced=None,
            stopped=[],
            change=told,
            not_caught_up=None,
        )
    done = await carry_out(timelines, proposal, version)
    late = (await timelines.catching_up.wait([spec])).get(name) if wait else None
    return models.Registered(
        name=name,
        done=True,
        version=done.version,
        new=done.new,
        replaced=done.replaced,
        stopped=list(done.stopped),
        change=told,
        not_caught_up=None if late is None else str(late),
    )


def _spec(name: str, body: dict[str, Any]) -> Spec:
    given = body.get("name", name)
    if given != name:
        raise SpecError("the body", [Problem("name", f"must be {name!r} as in the path, got {given!r}")])
    return spec_in({**body, "name": name}, "the body")


@router.delete("/timelines/{name}", responses=NotFound)
async def remove(name: Name, timelines: Timelines) -> models.Removed:
    """Remove a timeline, and stop the nodes that no other timeline uses."""
    return models.Removed(name=name, stopped=await timelines.remove(name))


@router.post("/timelines/{name}/pause", responses=NotFound)
async def pause(name: Name, timelines: Timelines) -> models.Paused:
    """Have the nodes that only this timeline uses get no more events."""
    return models.Paused(name=name, paused=True, changed=await timelines.pause(name))


@router.post("/timelines/{name}/resume", responses=NotFound)
async def resume(name: Name, timelines: Timelines) -> models.Paused:
    """Have a paused timeline go on from where it stands."""
    return models.Paused(name=name, paused=False, changed=await timelines.resume(name))


@router.get("/timelines/{name}/versions", responses=NotFound)
async def versions(name: Name, timelines: Timelines) -> list[models.Version]:
    """The last versions of a timeline's spec, oldest first."""
    return [
        models.Version(number=v["number"], at=v["at"], spec=v["spec"])
        for v in await timelines.registry.versions(name)
    ]


@router.get("/timelines/{name}/plan", responses=NotFound)
async def plan(spec: Of) -> models.Plan:
    """The nodes of a timeline, inputs first."""
    return _plan(spec.plan)


@router.post("/explain", responses=responses())
async def explain(what: models.Expression) -> models.Plan:
    """The nodes that an expression, or several outputs, would have. Nothing is registered."""
    wire = what.model_dump(exclude_defaults=True)
    if what.expression is not None and not what.outputs:
        return _plan(make_plan(what.expression))
    return _plan(spec_of({**wire, "name": "explained"}, "the body").plan)


def _plan(plan: Plan) -> models.Plan:
    return models.Plan(
        outputs={name: node.index for name, node in plan.outputs.items()},
        nodes=[
            models.PlannedNode(
                index=node.index,
                text=node.text,
                operator=node.operator.name,
                kind=node.kind.value,
                inputs=list(node.inputs),
                columns=sorted(node.leaf.columns) if node.leaf else [],
                digest=node.digest,
            )
            for node in plan.nodes
        ],
    )
