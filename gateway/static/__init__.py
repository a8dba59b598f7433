"""Serves the built web client and the documentation behind Envoy."""
