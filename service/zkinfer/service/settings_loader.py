"""Load the settings of a server from options, environment variables and a TOML file, and refuse insecure ones."""

from __future__ import annotations

import difflib
import os
import tomllib
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as SettingsSourceError

from zkinfer.circuits.errors import why
from zkinfer.service.addresses import Address
from zkinfer.service.errors import SettingsError
from zkinfer.service.settings import DELIMITER, PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Variables of other commands, which may be set in the same environment.
_OTHER_VARIABLES = {
    f"ZKINFER_{name}"
    for name in ("HOME", "SETUP_PATH", "RPC_URL", "DEPLOYMENT", "KEYSTORE", "SIMILARITY", "TOKEN_FILE", "WORKS")
}


def load_settings(options: Mapping[str, Any], file: Path | None = None) -> Settings:
    """Load and check the settings.

    Args:
        options: of the command line, nested like the settings; only those that were given.
        file: TOML.

    Raises:
        SettingsError: a setting is unknown, missing or invalid, or is insecure without an explicit opt-in.
    """
    settings = _read(options, file)
    _check_secure(settings)
    return settings


def load_store_location(options: Mapping[str, Any], file: Path) -> tuple[Path, str | None]:
    """The state folder and the database of a server with this file, for commands that manage its jobs.

    The file may be incomplete, because the server may get other settings as options.

    Raises:
        SettingsError: as `load_settings`, except for insecure settings.
    """
    settings = _read({"repository": ".", **options}, file)
    return settings.state, settings.store.get_secret_value() if settings.store else None


def _read(options: Mapping[str, Any], file: Path | None) -> Settings:
    _check_variables(os.environ)
    if file is not None:
        _check_readable(file)

    class _FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    try:
        return _FromFile(**options)
    except (ValidationError, SettingsSourceError) as err:
        raise SettingsError(_first_error(err), _cure(err)) from err


def _check_secure(settings: Settings) -> None:
    """Raise SettingsError for plaintext, anonymous callers or metrics on the network without an explicit opt-in."""
    for address in (settings.address, settings.rest.address):
        if address is not None and not address.is_local:
            _check_exposed(address, settings)
    if settings.tokens is not None and not settings.tokens.exists():
        raise SettingsError(f"The token file {settings.tokens} does not exist.", "Make a token: `zkinfer tokens new`.")
    if settings.metrics and not Address.parse(settings.metrics).host:
        raise SettingsError("Metrics are served over HTTP, not at a Unix socket.", "Write host:port.")
    if settings.metrics and not (Address.parse(settings.metrics).is_local or settings.insecure_metrics):
        raise SettingsError(
            f"At {settings.metrics}, other machines could read the metrics.",
            "Use a loopback address, or set insecure_metrics.",
        )


def _check_exposed(address: Address, settings: Settings) -> None:
    """Raise SettingsError for an address that other machines reach without encryption or authentication."""
    if not (settings.tls.certificate or settings.insecure_no_tls):
        raise SettingsError(
            f"At {address.text}, connections would not be encrypted.",
            "Set tls.certificate and tls.key, or --insecure-no-tls behind a proxy that terminates TLS.",
        )
    known = settings.tls.client_ca or settings.token_file.exists()
    if not (known or settings.insecure_anonymous):
        raise SettingsError(
            f"At {address.text}, anyone could call.",
            "Make a token with `zkinfer tokens new`, set tls.client_ca, or use --insecure-anonymous.",
        )


def _check_variables(environment: Mapping[str, str]) -> None:
    known = set(_names(Settings)) | _OTHER_VARIABLES
    for name in sorted(environment):
        free = name.startswith((f"{PREFIX}TLS{DELIMITER}SUBJECTS", f"{PREFIX}MODELS{DELIMITER}"))
        if name.startswith(PREFIX) and name not in known and not free:
            near = difflib.get_close_matches(name, known, 1)
            cure = f"Did you mean {near[0]}?" if near else "docs/reference/settings.md lists them."
            raise SettingsError(f"The variable {name} is not a setting.", cure)


def _names(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[str]:
    """The environment variables of a group of settings and its subgroups."""
    for name, field in model.model_fields.items():
        yield prefix + name.upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _names(field.annotation, prefix + name.upper() + DELIMITER)


def _check_readable(file: Path) -> None:
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
        return "Give the model repository with --repository, or in the file of --config."
    return "docs/reference/settings.md lists the settings."


def _first_error(err: ValidationError | SettingsSourceError) -> str:
    """The first invalid setting, without its value, which may be a password."""
    if isinstance(err, SettingsSourceError):
        return f"A variable cannot be read: {err}."
    first = err.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"There is no setting {place}."
    if first["type"] == "missing":
        return f"The setting {place} is missing."
    said = first["msg"].removeprefix("Value error, ")
    return f"The setting {place} is invalid: {said}." if place else f"The settings are inconsistent: {said}."
