"""What every gRPC server and client of Parley does alike. It knows no plane, no contract and no store (ADR 0001)."""
