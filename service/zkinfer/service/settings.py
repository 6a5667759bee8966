"""A server's settings: options of the command, then variables `ZKINFER_*`, then a TOML file, then defaults.

A variable names a setting in upper case, and one of a group with two underscores: `ZKINFER_TLS__KEY`. A setting that
is not known is refused wherever it stands.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings.exceptions import SettingsError as SettingsSourceError

from zkinfer.circuits.oserrors import why
from zkinfer.service.addresses import Address
from zkinfer.service.errors import SettingsError
from zkinfer.service.identity import Rights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX, DELIMITER = "ZKINFER_", "__"
_OTHERS = {"ZKINFER_HOME", "ZKINFER_SETUP_PATH", "ZKINFER_TOKEN"}
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


def default_state() -> Path:
    """`zkinfer` in `XDG_STATE_HOME`, else in `~/.local/state`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state", "zkinfer")


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Subject(_Group):
    """What the bearer of a certificate with this common name may do; see `zkinfer.service.identity.Rights`."""

    models: tuple[str, ...] | None = None
    unfinished_jobs: Annotated[int, Field(ge=0)] | None = None
    calls_per_second: Seconds | None = None

    @property
    def rights(self) -> Rights:
        """As the gate takes them."""
        models = None if self.models is None else frozenset(self.models)
        return Rights(models=models, unfinished_jobs=self.unfinished_jobs, calls_per_second=self.calls_per_second)


class Tls(_Group):
    """Files in PEM.

    `client_ca` turns on mutual TLS: every caller must show a certificate that it issued, and is known by the
    certificate's common name. `subjects` lets in those alone.
    """

    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    subjects: dict[str, Subject] | None = None


class Limits(_Group):
    """What one caller, and all together, may ask of the server."""

    message_bytes: Annotated[ByteSize, Field(ge=1 << 16)] = ByteSize(64 << 20)
    concurrent_calls: Count = 256
    calls_per_second: Seconds | None = None
    concurrent_verifications: Count = 1
    wait_seconds: Seconds = 60.0
    page_size: Annotated[int, Field(ge=1, le=1000)] = 100


class Queue(_Group):
    """What is taken on, and how long it is remembered."""

    queued: Count = 1000
    per_owner: Count = 100
    proof_seconds: Seconds | None = None
    proof_memory: ByteSize | None = None
    attempts: Count = 5
    keep_days: Annotated[float, Field(gt=0)] = 30.0


class Proving(_Group):
    """Who proves: `workers` None takes what memory and cores allow; 0 proves nothing here.

    `key` signs attestations; without one, every attestation is signed by a key made for it alone.
    """

    workers: Annotated[int, Field(ge=0)] | None = None
    memory: ByteSize | None = None
    key: Path | None = None
    passphrase_file: Path | None = None
    grace_seconds: Annotated[float, Field(ge=0)] = 30.0


class Log(_Group):
    """`json` is one object per line on stderr; `text` is for people, and `auto` is that on a terminal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class Telemetry(_Group):
    """Traces, sent to an OpenTelemetry collector; needs the extra `telemetry`."""

    endpoint: str | None = None
    insecure: bool = False


class Settings(BaseSettings):
    """Everything that `zkinfer serve` can be told.

    Args:
        repository: folder of models, `NAME/VERSION/` each a circuit.
        listen: `host:port`, `[address]:port` or `unix:/path`.
        state: folder of jobs, attestations and tokens; of one server at a time.
        store: database of jobs by URL; None for SQLite in the state folder.
        tokens: file of bearer tokens; None for the one in the state folder, if it exists.
        metrics: where Prometheus may ask, over plain HTTP; None for nowhere.
        reflection: let callers ask which services there are.
        reload_seconds: how often the repository is looked at for changes.
        insecure_no_tls: listen in the clear for others than this machine.
        insecure_anonymous: let in everybody, from other machines too.
        insecure_metrics: show the metrics to other machines.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter=DELIMITER, case_sensitive=False
    )

    repository: Path
    listen: str = "127.0.0.1:8001"
    state: Path = Field(default_factory=default_state)
    store: SecretStr | None = None
    tokens: Path | None = None
    metrics: str | None = None
    reflection: bool = False
    reload_seconds: Seconds = 5.0
    insecure_no_tls: bool = False
    insecure_anonymous: bool = False
    insecure_metrics: bool = False
    tls: Tls = Tls()
    limits: Limits = Limits()
    queue: Queue = Queue()
    proving: Proving = Proving()
    log: Log = Log()
    telemetry: Telemetry = Telemetry()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - of pydantic-settings
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options, variables, file; in this order."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def address(self) -> Address:
        """Where to listen."""
        return Address.parse(self.listen)

    @property
    def token_file(self) -> Path:
        """Where tokens are."""
        return self.tokens or self.state / "tokens.json"

    @property
    def store_url(self) -> str:
        """The database of jobs."""
        return store_url(self.state, self.store.get_secret_value() if self.store else None)

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if (self.tls.certificate is None) != (self.tls.key is None):
            raise ValueError("tls.certificate and tls.key belong together")
        if self.tls.client_ca and not self.tls.certificate:
            raise ValueError("tls.client_ca needs tls.certificate and tls.key")
        if self.tls.subjects is not None and not self.tls.client_ca:
            raise ValueError("tls.subjects needs tls.client_ca")
        return self


def store_url(state: Path, url: str | None) -> str:
    """The database of jobs: the one that is named, else SQLite in the state folder."""
    return url or f"sqlite:///{state.absolute() / 'jobs.sqlite'}"


def load_settings(options: Mapping[str, Any], file: Path | None = None) -> Settings:
    """The settings that hold.

    Args:
        options: of the command line, nested as the settings are; only those that were given.
        file: TOML.

    Raises:
        SettingsError: a setting is unknown, missing, of the wrong kind, or would leave the server open unasked.
    """
    _refuse_unknown_variables(os.environ)
    if file is not None:
        _refuse_unreadable(file)

    class _FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    try:
        settings = _FromFile(**options)
    except (ValidationError, SettingsSourceError) as err:
        raise SettingsError(_complaint(err), "docs/serving.md lists the settings.") from err
    _refuse_open_doors(settings)
    return settings


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
            cure = f"Did you mean {near[0]}?" if near else "docs/serving.md lists them."
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
