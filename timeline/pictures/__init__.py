"""Pictures of timelines: every node's lane over one axis of time."""

from timeline.pictures.lanes import Lane, Panel, panel, plan_lanes
from timeline.pictures.picture import Picture

__all__ = ["Lane", "Panel", "Picture", "panel", "plan_lanes"]
