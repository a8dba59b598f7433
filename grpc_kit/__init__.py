"""What every gRPC server and client of Parley does alike.

It knows no plane and no store, and of the contracts the access option alone (ADRs 0001 and 0019).
"""
