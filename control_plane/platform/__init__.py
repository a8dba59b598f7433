"""What every capability stands on: stores, gRPC, supervised tasks."""
