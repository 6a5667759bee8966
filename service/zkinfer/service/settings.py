"""The settings of a server: the schema, and loading from options, environment variables and a TOML file."""

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
from zkinfer.prover.repository import is_model_name
from zkinfer.service.addresses import Address
from zkinfer.service.errors import SettingsError
from zkinfer.service.identity import Rights, is_identity_name
from zkinfer.service.submission import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


PREFIX, DELIMITER = "ZKINFER_", "__"
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
_REQUESTS = 8  # of the largest size, that there is memory for


def default_state() -> Path:
    """`state` in `ZKINFER_HOME`, which moves everything; else `zkinfer` in `XDG_STATE_HOME` or `~/.local/state`."""
    if home := os.environ.get("ZKINFER_HOME"):
        return Path(home, "state")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state", "zkinfer")


def embedded_store(state: Path) -> Path:
    """The SQLite file of jobs in a state folder, used unless another database is configured."""
    return state.absolute() / "jobs.sqlite"


def store_url(state: Path, url: str | None) -> str:
    """The URL of the job database; SQLite in the state folder by default."""
    return url or f"sqlite:///{embedded_store(state)}"


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Subject(_Group):
    """The rights of a caller whose certificate has this common name."""

    models: tuple[str, ...] | None = None
    """Names of models. Default: all."""
    unfinished_jobs: Annotated[int, Field(ge=0)] | None = None
    """Unfinished proofs at a time. Default: `queue.per_owner`."""
    calls_per_second: Seconds | None = None
    """Calls per second. Default: `limits.calls_per_second`."""

    @property
    def rights(self) -> Rights:
        """The rights in the form that the authenticator uses."""
        models = None if self.models is None else frozenset(self.models)
        return Rights(models=models, unfinished_jobs=self.unfinished_jobs, calls_per_second=self.calls_per_second)


class Tls(_Group):
    """Encryption and client certificates. All files are PEM and are reloaded when they change."""

    certificate: Path | None = None
    """The server's certificate chain."""
    key: Path | None = None
    """Its private key."""
    client_ca: Path | None = None
    """CA of client certificates: every caller must present one and is identified by its common name."""
    subjects: dict[str, Subject] | None = None
    """Authorised common names, each with its rights (`models`, `unfinished_jobs`, `calls_per_second`). Default: all
    common names. A token sent along determines the identity, but does not authorise an unlisted certificate."""


class Limits(_Group):
    """Limits on calls, of one caller and of all together."""

    message_bytes: Annotated[ByteSize, Field(ge=1 << 16)] = ByteSize(20 << 20)
    """Largest request message."""
    request_memory: ByteSize | None = None
    """Memory for requests that were received and not yet answered, of all callers together; as much again is for
    requests that are arriving. One identity may use as much as is still free: half, if it is the only caller. Further
    requests wait. Default: eight times `message_bytes`, which is also the minimum."""
    concurrent_calls: Annotated[int, Field(ge=2)] = 256
    """Calls served at a time; further calls are rejected. At most half of them may be streams or wait for proofs. One
    identity may use at most as many of either as are still free: half, if it is the only caller. Health checks do not
    count."""
    read_seconds: Seconds = 10.0
    """Time limit for the request of a call to arrive, one second while others wait for its place; requests of streams
    may arrive at any time."""
    streams: Annotated[int, Field(ge=2)] = 16
    """Request streams open at a time; one identity may open as many as are still free. Each may buffer another
    `message_bytes`."""
    calls_per_second: Seconds | None = None
    """Calls per second of one identity, on average, with bursts of one second's worth. Default: no limit."""
    concurrent_verifications: Count = 2
    """Attestations verified at a time, one per caller; further ones are rejected."""
    verification_seconds: Seconds = 120.0
    """Time limit of one verification."""
    wait_seconds: Seconds = 60.0
    """Longest wait of one WaitOperation call."""
    page_size: Annotated[int, Field(ge=1, le=1000)] = 100
    """Most entries in one page of a list."""

    @property
    def memory(self) -> int:
        """`request_memory`, or its default."""
        return self.request_memory or _REQUESTS * self.message_bytes


class Queue(_Group):
    """Which proof jobs are accepted, how often they are retried and how long they are kept."""

    queued: Count = 1000
    """Queued jobs, of all callers together."""
    per_owner: Count = 100
    """Unfinished jobs of one identity."""
    proof_seconds: Seconds | None = None
    """Longest predicted duration of a proof; never more than `proving.job_seconds`, which is the default."""
    proof_memory: ByteSize | None = None
    """Largest predicted memory of a proof. Default: `proving.memory`."""
    attempts: Count = 5
    """Engine crashes after which a job fails."""
    begun: Count = 20
    """Attempts after which a job fails, whatever interrupted them, including killed servers."""
    keep_days: Annotated[float, Field(gt=0)] = 30.0
    """Days for which finished jobs and their attestations are kept."""


class Proving(_Group):
    """The workers that prove."""

    workers: Annotated[int, Field(ge=0)] | None = None
    """Worker processes. Default: one for every two cores. With 0, the server answers and queues without proving."""
    memory: ByteSize | None = None
    """Memory for all proofs together. Default: 80% of the free memory when the server starts."""
    key: Path | None = None
    """Private key that signs attestations (`zkinfer keys new`). Default: an ephemeral key for each attestation."""
    job_seconds: Seconds = 3600.0
    """Time limit of one proof, as if it had the processors to itself. Jobs predicted to exceed it are rejected."""
    sync_seconds: Annotated[float, Field(ge=0)] = 1.0
    """Models whose proofs take at most this long answer with them by default; see `models.NAME.proof_mode`. 0: none."""
    passphrase_file: Path | None = None
    """File with the key's passphrase on its first line."""
    lease_seconds: Annotated[float, Field(ge=3)] = 30.0
    """Seconds without a heartbeat after which the job of a worker is given to another."""
    grace_seconds: Annotated[float, Field(ge=0)] = 30.0
    """Seconds that running calls and proofs get to finish when the server shuts down."""


class Log(_Group):
    """The log, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Minimum level."""
    format: Literal["auto", "json", "text"] = "auto"
    """`json` is one object per line, `text` is for people, `auto` is `text` on a terminal and `json` elsewhere."""


class Telemetry(_Group):
    """OpenTelemetry traces; needs the extra `telemetry`."""

    endpoint: str | None = None
    """OTLP endpoint of the collector, over gRPC. Default: no traces."""
    insecure: bool = False
    """Send traces without TLS."""


class ModelSettings(_Group):
    """Settings of one model: a table `[models.NAME]` in the file. They apply to all its versions."""

    proof_mode: Mode | None = None
    """Proof mode of calls of the Open Inference Protocol that name none: `async` queues a proof for every call, `sync`
    waits for it, `none` answers without a proof. Default: `sync` for models whose proofs are predicted to take at most
    `proving.sync_seconds`, else `async`."""


class Settings(BaseSettings):
    """All settings of `zkinfer serve`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        case_sensitive=False,
    )

    repository: Path
    """Model repository: folders `NAME/VERSION/`, each a circuit made by `zkinfer compile`."""
    listen: str = "127.0.0.1:8001"
    """`host:port`, `[address]:port` or `unix:/path`."""
    state: Path = Field(default_factory=default_state)
    """Folder of jobs, attestations and tokens, used by one server at a time. Default: `state` in `ZKINFER_HOME`; if
    that is not set, `zkinfer` in `XDG_STATE_HOME` or `~/.local/state`."""
    store: SecretStr | None = None
    """Database of jobs, `postgresql+psycopg://...`. Default: SQLite in the state folder."""
    tokens: Path | None = None
    """File of bearer tokens. Default: `tokens.json` in the state folder."""
    metrics: str | None = None
    """Address of the Prometheus endpoint, plain HTTP. Default: none."""
    reflection: bool = False
    """Enable gRPC server reflection."""
    reload_seconds: Seconds = 5.0
    """Seconds between two reloads of the model repository."""
    insecure_no_tls: bool = False
    """Accept connections from other machines without TLS."""
    insecure_anonymous: bool = False
    """Accept calls from other machines without authentication."""
    insecure_metrics: bool = False
    """Serve metrics to other machines."""
    tls: Tls = Tls()
    limits: Limits = Limits()
    queue: Queue = Queue()
    proving: Proving = Proving()
    log: Log = Log()
    telemetry: Telemetry = Telemetry()
    models: dict[str, ModelSettings] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - of pydantic-settings
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Precedence: options, environment variables, file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def address(self) -> Address:
        """The listening address."""
        return Address.parse(self.listen)

    @property
    def token_file(self) -> Path:
        """The path of the token file."""
        return self.tokens or self.state / "tokens.json"

    def proof_mode(self, model: str) -> Mode | None:
        """The proof mode of calls that name none; None if the length of a proof decides."""
        return self.models.get(model, ModelSettings()).proof_mode

    @property
    def store_url(self) -> str:
        """The URL of the job database."""
        return store_url(self.state, self.store.get_secret_value() if self.store else None)

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.limits.memory < _REQUESTS * self.limits.message_bytes:
            raise ValueError(f"limits.request_memory must be at least {_REQUESTS} times limits.message_bytes")
        if (self.tls.certificate is None) != (self.tls.key is None):
            raise ValueError("tls.certificate and tls.key belong together")
        if self.tls.client_ca and not self.tls.certificate:
            raise ValueError("tls.client_ca needs tls.certificate and tls.key")
        if self.tls.subjects is not None and not self.tls.client_ca:
            raise ValueError("tls.subjects needs tls.client_ca")
        if odd := [name for name in self.models if not is_model_name(name)]:
            raise ValueError(f"models: {odd[0]!r:.80} is not the name of a model")
        if odd := [name for name in self.tls.subjects or () if not is_identity_name(name)]:
            raise ValueError(f"tls.subjects: {odd[0]!r:.80} is not a valid identity name")
        return self


# Variables of other commands, which may be set in the same environment.
_OTHER_VARIABLES = {f"ZKINFER_{name}" for name in ("HOME", "SETUP_PATH", "RPC_URL", "DEPLOYMENT", "KEYSTORE")}


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
    local = settings.address.is_local
    if not (local or settings.tls.certificate or settings.insecure_no_tls):
        raise SettingsError(
            f"At {settings.listen}, connections would not be encrypted.",
            "Set tls.certificate and tls.key, or --insecure-no-tls behind a proxy that terminates TLS.",
        )
    known = settings.tls.client_ca or settings.token_file.exists()
    if not (local or known or settings.insecure_anonymous):
        raise SettingsError(
            f"At {settings.listen}, anyone could call.",
            "Make a token with `zkinfer tokens new`, set tls.client_ca, or use --insecure-anonymous.",
        )
    if settings.tokens is not None and not settings.tokens.exists():
        raise SettingsError(f"The token file {settings.tokens} does not exist.", "Make a token: `zkinfer tokens new`.")
    if settings.metrics and not Address.parse(settings.metrics).host:
        raise SettingsError("Metrics are served over HTTP, not at a Unix socket.", "Write host:port.")
    if settings.metrics and not (Address.parse(settings.metrics).is_local or settings.insecure_metrics):
        raise SettingsError(
            f"At {settings.metrics}, other machines could read the metrics.",
            "Use a loopback address, or set insecure_metrics.",
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
