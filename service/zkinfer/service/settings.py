"""The settings of a server: the schema. `settings_loader` loads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from zkinfer.prover.repository import is_model_name
from zkinfer.service.addresses import Address
from zkinfer.service.identity import Rights, is_identity_name
from zkinfer.service.submission import Mode

PREFIX, DELIMITER = "ZKINFER_", "__"
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Origin = Annotated[str, Field(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$")]
HostName = Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")]
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
    concurrent_files: Annotated[int, Field(ge=2)] = 4
    """Files of works looked up at a time; one caller may have as many as are still free: half, if it is the only one.
    Each is decoded in a process of its own."""
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


class Trust(_Group):
    """What VerifyAttestation accepts at most, whatever the caller's policy says."""

    root: Path | None = None
    """File of a trust root (`zkinfer trust`), read again for every verification. Default: the caller's policy alone."""
    fingerprint: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Fingerprint of its root keys, as `zkinfer trust show` prints it; required with `trust.root`."""


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


class Rest(_Group):
    """The HTTP interface; needs the extra `rest`. It has the TLS, tokens and limits of the gRPC interface."""

    listen: str | None = None
    """`host:port`, `[address]:port` or `unix:/path`. Default: no HTTP interface."""
    origins: tuple[Origin, ...] = ()
    """Web origins whose pages may call, such as `https://app.example`. Pages of all others are refused."""
    hosts: tuple[HostName, ...] = ()
    """Names by which callers address a server that listens at a loopback address, as behind a proxy, besides
    `localhost` and loopback addresses. Requests for other names are refused, because a web page could make them."""

    @property
    def address(self) -> Address | None:
        """The listening address; None for no HTTP interface."""
        return None if self.listen is None else Address.parse(self.listen)


class WorksDirectory(_Group):
    """What is known of registered works; needs the extra `works`."""

    database: SecretStr | None = None
    """Where `zkinfer works index` keeps it: a file, or `postgresql+psycopg://...`. Default: none."""
    roots: Path | None = None
    """Certificates in PEM whose C2PA signers are trusted, for the labels of files. Default: none, so that no signer is
    vouched for."""


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
    trust: Trust = Trust()
    log: Log = Log()
    telemetry: Telemetry = Telemetry()
    rest: Rest = Rest()
    directory: WorksDirectory = WorksDirectory()
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
        if (self.trust.root is None) != (self.trust.fingerprint is None):
            raise ValueError("trust.root and trust.fingerprint belong together")
        if self.tls.client_ca and not self.tls.certificate:
            raise ValueError("tls.client_ca needs tls.certificate and tls.key")
        if self.tls.subjects is not None and not self.tls.client_ca:
            raise ValueError("tls.subjects needs tls.client_ca")
        if odd := [name for name in self.models if not is_model_name(name)]:
            raise ValueError(f"models: {odd[0]!r:.80} is not the name of a model")
        if odd := [name for name in self.tls.subjects or () if not is_identity_name(name)]:
            raise ValueError(f"tls.subjects: {odd[0]!r:.80} is not a valid identity name")
        return self
