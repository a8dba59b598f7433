"""The one settings object of a whole deployment, and where each value came from."""

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from control_plane.settings import ControlPlaneSettings
from gateway.settings import GatewaySettings
from media_plane.settings import NodeSettings
from parley_cli.errors import CONFIGURATION, CommandError

_PREFIX = "PARLEY_"
_FILE_VARIABLE = "PARLEY_CONFIG"
_HIDDEN = "(hidden)"

Source = Literal["option", "environment", "file", "default"]


class Settings(ControlPlaneSettings, NodeSettings, GatewaySettings):
    """Everything that can be set: the settings of control plane, media node and gateway in one."""

    control_plane_processes: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Control-plane processes that `parley up` starts; each further one has the next port of "
        "PARLEY_CONTROL_PLANE_METRICS_PORT. 0: one for every two cores of this machine, at least one.",
    )


@dataclass(frozen=True)
class Setting:
    """One setting as `parley settings` shows it.

    Attributes:
        name: Key in the TOML file; in the environment it is in capitals behind `PARLEY_`.
        meaning: What it does.
        default: Its default, as text.
        value: Its present value, as text; secrets are hidden.
        source: Where the present value came from.
    """

    name: str
    meaning: str
    default: str
    value: str
    source: Source


def load_settings(**options: Any) -> Settings:  # noqa: ANN401 - any setting's type
    """The settings from options, environment, file and defaults, the first that has a value winning.

    Args:
        options: Values from the command line; None: not given.

    Raises:
        CommandError: The file can't be read, is no TOML or holds an unknown key, or a value does not fit.
    """
    given = {name: value for name, value in options.items() if value is not None}
    _check_names(_read_file())
    try:
        return Settings(**given)
    except ValidationError as error:
        raise CommandError(_explain(error, given), CONFIGURATION) from error
    except ValueError as error:  # A list in the environment that is no JSON, say.
        message = f"The environment holds a setting that can't be read: {error}."
        raise CommandError(message, CONFIGURATION) from error


def describe(settings: Settings, options: Sequence[str] = ()) -> Sequence[Setting]:
    """All settings in alphabetical order, with where they came from; `options` names those of the command line."""
    file = _read_file()
    return [
        Setting(
            name=name,
            meaning=field.description or "",
            default=_text(field.get_default(call_default_factory=False)),
            value=_text(getattr(settings, name)),
            source=_source(name, file, options),
        )
        for name, field in sorted(_fields().items())
    ]


def _fields() -> Mapping[str, FieldInfo]:
    return Settings.model_fields


def _read_file() -> Mapping[str, Any]:
    path = os.environ.get(_FILE_VARIABLE)
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).expanduser().read_text())
    except OSError as error:
        message = f"The configuration {path} can't be read: {error.strerror}."
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"The configuration {path} is damaged: {error}."
    raise CommandError(message, CONFIGURATION)


def _check_names(file: Mapping[str, Any]) -> None:
    for name in file:
        if name not in _fields():
            close = difflib.get_close_matches(name, _fields(), n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            message = f"The configuration {os.environ[_FILE_VARIABLE]} sets {name}, which is no setting.{hint}"
            raise CommandError(message, CONFIGURATION)


def _explain(error: ValidationError, options: Mapping[str, Any]) -> str:
    problem = error.errors()[0]
    name = str(problem["loc"][0]) if problem["loc"] else ""
    where = {
        "option": f"The option --{name.replace('_', '-')}",
        "environment": f"The environment variable {_PREFIX}{name.upper()}",
        "file": f"{name} in the configuration {os.environ.get(_FILE_VARIABLE)}",
        "default": f"The setting {name}",
    }[_source(name, _read_file(), list(options))]
    return f"{where} does not fit: {problem['msg']}."


def _source(name: str, file: Mapping[str, Any], options: Sequence[str]) -> Source:
    if name in options:
        return "option"
    if any(variable.upper() == f"{_PREFIX}{name.upper()}" for variable in os.environ):
        return "environment"
    return "file" if name in file else "default"


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return _HIDDEN if value.get_secret_value() else ""
    return "" if value is None else str(value)
