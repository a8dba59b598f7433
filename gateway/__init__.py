"""The gateway: Envoy's configuration, the server of the built web client, and the web client."""
