"""Serves the built web client behind Envoy."""
