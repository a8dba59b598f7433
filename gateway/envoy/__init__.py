"""Envoy's configuration, made from the settings and the contracts."""

from gateway.envoy.bootstrap import bootstrap

__all__ = ["bootstrap"]
