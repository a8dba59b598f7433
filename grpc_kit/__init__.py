"""What every gRPC server and client of Parley does alike: errors, interceptors, telemetry, start and drain. It knows no plane."""
