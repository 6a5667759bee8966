"""Reading a server's settings: options of the command, then variables `ZKINFER_*`, then a TOML file, then defaults.

A variable names a setting in upper case, and one of a group with two underscores: `ZKINFER_TLS__KEY`. A setting that
is not known is refused wherever it stands.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as SettingsSourceError

from zkinfer.circuits.oserrors import why
from zkinfer.service.addresses import Address
from zkinfer.service.errors import SettingsError
from zkinfer.service.settings import DELIMITER, PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Of other commands: who runs a server may post its answers too.
_OTHERS = {f"ZKINFER_{name}" for name in ("HOME", "SETUP_PATH", "RPC_URL", "DEPLOYMENT", "KEYSTORE", "SOLC")}


def load_settings(options: Mapping[str, Any], file: Path | None = None) -> Settings:
    """The settings that hold.

    Args:
        options: of the command line, nested as the settings are; only those that were given.
        file: TOML.

    Raises:
        SettingsError: a setting is unknown, missing, of the wrong kind, or would leave the server open unasked.
    """
    settings = _read(options, file)
    _refuse_open_doors(settings)
    return settings


def load_places(options: Mapping[str, Any], file: Path) -> tuple[Path, str | None]:
    """The state folder and the database that a server with this file has, for who manages its jobs.

    What the file lacks may be an option of that server: neither models nor tokens need to be there.

    Raises:
        SettingsError: as `load_settings`, but for doors that are open.
    """
    settings = _read({"repository": ".", **options}, file)
    return settings.state, settings.store.get_secret_value() if settings.store else None


def _read(options: Mapping[str, Any], file: Path | None) -> Settings:
    _refuse_unknown_variables(os.environ)
    if file is not None:
        _refuse_unreadable(file)

    class _FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    try:
        return _FromFile(**options)
    except (ValidationError, SettingsSourceError) as err:
        raise SettingsError(_complaint(err), _cure(err)) from err


def _refuse_open_doors(settings: Settings) -> None:
    """Raise SettingsError where others than this machine could read along, or call without a name, unasked."""
    local = settings.address.is_local
    if not (local or settings.tls.certificate or settings.insecure_no_tls):
        raise SettingsError(
            f"At {settings.listen}, others could read along.",
            "Set tls.certificate and tls.key; behind a proxy that does TLS, --insecure-no-tls.",
        )
    known = settings.tls.client_ca or settings.token_file.exists()
    if not (local or known or settings.insecure_anonymous):
        raise SettingsError(
            f"At {settings.listen}, anybody could call.",
            "Make a token with `zkinfer tokens new`, set tls.client_ca, or say --insecure-anonymous.",
        )
    if settings.tokens is not None and not settings.tokens.exists():
        raise SettingsError(f"There is no file of tokens {settings.tokens}.", "Make a token: `zkinfer tokens new`.")
    if settings.metrics and not Address.parse(settings.metrics).host:
        raise SettingsError("Metrics are asked for over HTTP, not at a socket.", "Write host:port.")
    if settings.metrics and not (Address.parse(settings.metrics).is_local or settings.insecure_metrics):
        raise SettingsError(
            f"At {settings.metrics}, others could read the metrics.",
            "Choose a loopback address, or say insecure_metrics.",
        )


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    known = set(_names(Settings)) | _OTHERS
    for name in sorted(environment):
        free = name.startswith(f"{PREFIX}TLS{DELIMITER}SUBJECTS")
        if name.startswith(PREFIX) and name not in known and not free:
            near = difflib.get_close_matches(name, known, 1)
            cure = f"Did you mean {near[0]}?" if near else "docs/settings.md lists them."
            raise SettingsError(f"The variable {name} is no setting.", cure)


def _names(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[str]:
    """The variables of a group of settings and of those inside."""
    for name, field in model.model_fields.items():
        yield prefix + name.upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _names(field.annotation, prefix + name.upper() + DELIMITER)


def _refuse_unreadable(file: Path) -> None:
    try:
        tomllib.loads(file.read_bytes().decode())
    except OSError as err:
        raise SettingsError(f"{file} cannot be read: {why(err)}.") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise SettingsError(f"{file} is not TOML: {err}.") from err


def _cure(err: ValidationError | SettingsSourceError) -> str:
    missing = (
        [one["loc"] for one in err.errors() if one["type"] == "missing"] if isinstance(err, ValidationError) else []
    )
    if ("repository",) in missing:
        return "Name the folder of models with --repository, or in the file of --config."
    return "docs/settings.md lists the settings."


def _complaint(err: ValidationError | SettingsSourceError) -> str:
    """The first thing that is wrong, without the value: it may be a password."""
    if isinstance(err, SettingsSourceError):
        return f"A variable cannot be read: {err}."
    first = err.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"There is no setting {place}."
    if first["type"] == "missing":
        return f"The setting {place} is missing."
    said = first["msg"].removeprefix("Value error, ")
    return f"The setting {place} is not right: {said}." if place else f"The settings do not fit: {said}."
