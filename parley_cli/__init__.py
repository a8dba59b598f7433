"""The `parley` command: starts, checks and measures Parley. The one package that may start all planes."""
