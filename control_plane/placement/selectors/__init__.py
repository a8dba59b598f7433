"""Policies that choose a node for a room: one a file, each a pure function of the nodes and the request."""

from control_plane.placement.selectors.base import Selector
from control_plane.placement.selectors.least_loaded import LeastLoadedSelector
from control_plane.placement.selectors.weighted import WeightedSelector

__all__ = ["LeastLoadedSelector", "Selector", "WeightedSelector"]
