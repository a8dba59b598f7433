"""Servicers, converters and the authenticator: the only code of the control plane that knows messages."""
