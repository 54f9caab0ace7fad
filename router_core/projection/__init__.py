"""What a change would save and cost in quality on the logged traffic, with an interval, before it is pushed."""

from router_core.projection.cube import Cube
from router_core.projection.estimate import Preview, project
from router_core.projection.result import Interval, Money, Projection, Share, Support

__all__ = ["Cube", "Interval", "Money", "Preview", "Projection", "Share", "Support", "project"]
