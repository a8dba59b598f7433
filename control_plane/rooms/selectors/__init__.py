"""Policies that choose a node for a room: one a file, each a pure function of the nodes and the request."""

from __future__ import annotations

from control_plane.rooms.selectors.base import Selector
from control_plane.rooms.selectors.least_loaded import LeastLoadedSelector
from control_plane.rooms.selectors.weighted import WeightedSelector

__all__ = ["LeastLoadedSelector", "Selector", "WeightedSelector"]
