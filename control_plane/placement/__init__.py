"""Which media node a room is on: node registry, leases with fencing epochs, selectors."""
