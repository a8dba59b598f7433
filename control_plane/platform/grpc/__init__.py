"""gRPC as the control plane serves it."""
