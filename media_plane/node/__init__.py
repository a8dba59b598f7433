"""The node's agent: it takes commands from the control plane and decides; the engine forwards."""
