"""The settings of a server. `zkinfer.service.settings` reads them."""

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

from zkinfer.circuits.errors import why
from zkinfer.service.addresses import Address
from zkinfer.service.errors import SettingsError
from zkinfer.service.identity import Rights, is_identity_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


PREFIX, DELIMITER = "ZKINFER_", "__"
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


def default_state() -> Path:
    """`zkinfer` in `XDG_STATE_HOME`, else in `~/.local/state`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state", "zkinfer")


def embedded_store(state: Path) -> Path:
    """The file of jobs in a state folder, where no other database is named."""
    return state.absolute() / "jobs.sqlite"


def store_url(state: Path, url: str | None) -> str:
    """The database of jobs: the one that is named, else SQLite in the state folder."""
    return url or f"sqlite:///{embedded_store(state)}"


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Subject(_Group):
    """What the bearer of a certificate with this common name may do."""

    models: tuple[str, ...] | None = None
    """Names of models; all, if left out."""
    unfinished_jobs: Annotated[int, Field(ge=0)] | None = None
    """Proofs that may be unfinished at a time; otherwise `queue.per_owner`."""
    calls_per_second: Seconds | None = None
    """Calls per second; otherwise `limits.calls_per_second`."""

    @property
    def rights(self) -> Rights:
        """As the gate takes them."""
        models = None if self.models is None else frozenset(self.models)
        return Rights(models=models, unfinished_jobs=self.unfinished_jobs, calls_per_second=self.calls_per_second)


class Tls(_Group):
    """Encryption, and callers who are known by certificate. All files are PEM, and read again when they change."""

    certificate: Path | None = None
    """The server's certificate chain."""
    key: Path | None = None
    """Its private key."""
    client_ca: Path | None = None
    """Authority of callers' certificates: every caller must show one, and is known by its common name."""
    subjects: dict[str, Subject] | None = None
    """Common names that are let in, with what each may do (`models`, `unfinished_jobs`, `calls_per_second`); all, if
    left out. A token says more exactly who calls, and does not help a certificate that is not let in."""


class Limits(_Group):
    """What one caller, and all together, may ask of the server."""

    message_bytes: Annotated[ByteSize, Field(ge=1 << 16)] = ByteSize(20 << 20)
    """Largest message that is read."""
    concurrent_calls: Annotated[int, Field(ge=2)] = 256
    """Calls served at a time; more are refused. At most half of them may be streams, or wait for proofs. Of both, one
    identity has no more than are still free: half, where it is alone. Questions about the server's health are not
    counted."""
    read_seconds: Seconds = 10.0
    """Longest time that the request of a call may take to arrive; requests of streams may come at any time."""
    calls_per_second: Seconds | None = None
    """Of one identity, averaged; a second's worth may come at once. No limit, if left out."""
    concurrent_verifications: Count = 2
    """Attestations verified at a time, one of each caller; more are refused."""
    wait_seconds: Seconds = 60.0
    """Longest time that one WaitOperation waits."""
    page_size: Annotated[int, Field(ge=1, le=1000)] = 100
    """Most entries of one page of a list."""


class Queue(_Group):
    """Which proofs are taken on, and how long they are remembered."""

    queued: Count = 1000
    """Jobs that may wait, of all callers together."""
    per_owner: Count = 100
    """Unfinished jobs that one identity may have."""
    proof_seconds: Seconds | None = None
    """Longest predicted time of a proof; `proving.job_seconds`, if that is less or this left out."""
    proof_memory: ByteSize | None = None
    """Largest predicted memory of a proof; `proving.memory`, if left out."""
    attempts: Count = 5
    """Times that the engine may die over one job."""
    begun: Count = 20
    """Times that one job may be begun for whatever reason, a killed server included."""
    keep_days: Annotated[float, Field(gt=0)] = 30.0
    """How long a finished job and its attestation are kept."""


class Proving(_Group):
    """Who proves."""

    workers: Annotated[int, Field(ge=0)] | None = None
    """Processes that prove; one for every two cores, if left out. 0 answers and queues without proving."""
    memory: ByteSize | None = None
    """Memory that all proofs together may take; 80% of what is free at the start, if left out."""
    key: Path | None = None
    """Signs attestations (`zkinfer keys new`); each is signed by a key made for it alone, if left out."""
    job_seconds: Seconds = 3600.0
    """Longest time that the engine may take over one proof, had it the processors to itself. A proof that is predicted
    to take longer is not taken on."""
    passphrase_file: Path | None = None
    """Holds the key's passphrase on its first line."""
    lease_seconds: Annotated[float, Field(ge=3)] = 30.0
    """How long a worker may give no sign of life before its job is given to another."""
    grace_seconds: Annotated[float, Field(ge=0)] = 30.0
    """How long calls and proofs under way may go on when the server ends."""


class Log(_Group):
    """The log, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    format: Literal["auto", "json", "text"] = "auto"
    """`json` is one object per line, `text` is for people, `auto` is text on a terminal and json elsewhere."""


class Telemetry(_Group):
    """Traces for an OpenTelemetry collector; needs the extra `telemetry`."""

    endpoint: str | None = None
    """Where the collector takes OTLP over gRPC; no traces, if left out."""
    insecure: bool = False
    """Send them in the clear."""


class Settings(BaseSettings):
    """Everything that `zkinfer serve` can be told."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        case_sensitive=False,
    )

    repository: Path
    """Folder of models: `NAME/VERSION/`, each a circuit that `zkinfer compile` made."""
    listen: str = "127.0.0.1:8001"
    """`host:port`, `[address]:port` or `unix:/path`."""
    state: Path = Field(default_factory=default_state)
    """Folder of jobs, attestations and tokens, of one server at a time; `zkinfer` in `XDG_STATE_HOME` or
    `~/.local/state`, if left out."""
    store: SecretStr | None = None
    """Database of jobs, `postgresql+psycopg://...`; SQLite in the state folder, if left out."""
    tokens: Path | None = None
    """File of bearer tokens; `tokens.json` in the state folder, if left out."""
    metrics: str | None = None
    """Where Prometheus may ask, over plain HTTP; nowhere, if left out."""
    reflection: bool = False
    """Let callers ask which services there are."""
    reload_seconds: Seconds = 5.0
    """How often the repository is looked at for changes."""
    insecure_no_tls: bool = False
    """Listen in the clear for other machines than this."""
    insecure_anonymous: bool = False
    """Let in anybody from other machines."""
    insecure_metrics: bool = False
    """Show the metrics to other machines."""
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
        if odd := [name for name in self.tls.subjects or () if not is_identity_name(name)]:
            raise ValueError(f"tls.subjects: {odd[0]!r:.80} can be no caller's name")
        return self


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
