"""The processes Parley is made of, each as a part that can be started, probed, stopped, killed and started again."""

from parley_cli.parts.envoy import EnvoyPart
from parley_cli.parts.part import Part, PartError
from parley_cli.parts.postgres import PostgresPart
from parley_cli.parts.process import ChildProcess, Command
from parley_cli.parts.python import PythonPart
from parley_cli.parts.redis import RedisPart

__all__ = ["ChildProcess", "Command", "EnvoyPart", "Part", "PartError", "PostgresPart", "PythonPart", "RedisPart"]
