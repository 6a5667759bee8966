"""The file that configures the daemon, `feeds.toml`: its form, and the refusal of what is unsafe.

Secrets are never in it, only the names of files that nobody else may read. Relative paths begin at the file's folder.
"""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from zkinfer.circuits.errors import InputError
from zkinfer.circuits.storage import read_file, read_private_file
from zkinfer.contracts.amounts import parse_wei
from zkinfer.oracle.errors import FeedsFileError
from zkinfer.oracle.feed import Delivered
from zkinfer.oracle.sources.settings import SourceSettings
from zkinfer.service.addresses import Address
from zkinfer.service.errors import SettingsError
from zkinfer.service.settings import Tls

if TYPE_CHECKING:
    from typing import Self

_MAX_FILE: Final = 1 << 18
_MAX_SECRET: Final = 1 << 12
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
_PERCENT: Final = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,6})?)%")
_DAY: Final = 86_400
HostAndPort = Annotated[str, Field(pattern=r"^[a-z0-9.-]+(:[0-9]{1,5})?$")]
HostName = Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")]
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def _wei(value: object) -> int:
    if not isinstance(value, str):
        raise ValueError("an amount is text, such as '2gwei'")  # noqa: TRY004 - pydantic expects ValueError
    return parse_wei(value)


def _share(value: object) -> Fraction:
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a share is text, such as '0.5%'")
    return Fraction(match[1]) / 100


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError("an address is 0x and 40 hex digits")
    return value


AddressText = Annotated[str, AfterValidator(_address)]
Wei = Annotated[int, BeforeValidator(_wei)]
Share = Annotated[Fraction, BeforeValidator(_share)]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=_kebab,
        arbitrary_types_allowed=True,
        use_attribute_docstrings=True,
    )


class FeedPart(_Part):
    """`[feed.NAME]`: one feed."""

    spec: Path
    """The feed file that `zkinfer oracle init` and `create` wrote."""
    circuit: Path
    """The circuit's folder."""
    source: SourceSettings
    """Where the numbers come from: `{ http = "https://..." }`, `{ file = "..." }` or `{ aggregator = "0x..." }`."""
    deviation: Share | None = None
    """Change of the answer, relative to the last one, that makes a round due; `0%` makes every round due. Default:
    rounds are due by the heartbeat alone."""
    level: Delivered = Delivered.BOTH
    """What chains get: `attested`, `proven`, or `both`, attested at once and proven when the proof is ready."""
    chains: tuple[str, ...] | None = None
    """Names of the chains that get the feed. Default: all."""


class ChainPart(_Part):
    """`[chain.NAME]`: one chain, and the account that posts to it."""

    rpc: str | None = None
    """URL of the node, if it holds no key."""
    rpc_file: Path | None = None
    """File with the URL of the node."""
    hub: AddressText
    """Address of the hub of feeds."""
    keystore: Path | None = None
    """The account that pays, as an encrypted JSON keystore. Default: nothing is posted, and others must."""
    passphrase_file: Path | None = None
    """File with the keystore's passphrase."""
    max_fee: Wei = 200 * 10**9
    """Highest fee per gas, including the tip. The default is 200 gwei."""
    max_tip: Wei = 2 * 10**9
    """Highest tip per gas. The default is 2 gwei."""
    confirmations: Annotated[int, Field(ge=1, le=1000)] = 3
    """Blocks after which a round is final, including its own."""
    timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds for a transaction to be included in a block; then it is tried again with the next round."""
    resubmit_after: Annotated[float, Field(gt=0)] = 30.0
    """Seconds after which the fees of a transaction are raised."""
    min_balance: Wei = 10**16
    """Balance below which the operator is alerted. The default is 0.01 ether."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.rpc is None) == (self.rpc_file is None):
            raise ValueError("give one of rpc and rpc-file")
        if self.rpc is not None and _may_hold_secret(self.rpc):
            raise ValueError("rpc may hold a key: write the URL into a file, and give rpc-file")
        if (self.keystore is None) != (self.passphrase_file is None):
            raise ValueError("keystore and passphrase-file belong together")
        return self


class SigningPart(_Part):
    """`[signing]`: this operator's key, and the other operators."""

    keystore: Path
    """The key that signs reports, as an encrypted JSON keystore. Not one that holds money."""
    passphrase_file: Path
    """File with the keystore's passphrase."""
    peers: tuple[str, ...] = ()
    """Report servers of the other operators."""
    peer_ca: Path | None = None
    """CA of the peers' certificates, PEM. Default: the system's."""


class ServerPart(_Part):
    """`[server]`: the report server."""

    listen: str = "127.0.0.1:8090"
    """`host:port`, `[address]:port` or `unix:/path`."""
    tls: Tls = Tls()
    """`certificate`, `key` and `client_ca`, PEM."""
    insecure_no_tls: bool = False
    """Accept connections from other machines without TLS, as behind a proxy that terminates it."""
    hosts: tuple[HostName, ...] = ()
    """Names by which callers address a server that listens at a loopback address, besides `localhost`."""
    callback_hosts: tuple[HostAndPort, ...] = ()
    """Hosts that jobs of the external adapter may name in `responseURL`, each with its port unless that is 443.
    Default: none."""
    metrics: bool | None = None
    """Serve `/metrics`. Default: only if other machines cannot call."""

    @property
    def address(self) -> Address:
        """The listening address; raises SettingsError."""
        return Address.parse(self.listen)


class AlertsPart(_Part):
    """`[alerts]`: whom to tell."""

    url_file: Path
    """File with the URL of a webhook, which gets JSON by POST."""


class StorePart(_Part):
    """`[store]`: where rounds are remembered."""

    file: Path = Path("oracle.sqlite")
    """The SQLite file."""
    url_file: Path | None = None
    """File with the URL of a PostgreSQL database, `postgresql+psycopg://...`, instead."""
    keep_days: Annotated[float, Field(gt=0)] = 90.0
    """Days for which expired rounds and their source files are kept."""

    @property
    def keep_seconds(self) -> int:
        """`keep_days` in seconds."""
        return int(self.keep_days * _DAY)


class FeedsFile(_Part):
    """The whole file."""

    feed: dict[str, FeedPart] = Field(min_length=1)
    chain: dict[str, ChainPart] = Field(default_factory=dict)
    signing: SigningPart | None = None
    server: ServerPart = ServerPart()
    store: StorePart = StorePart()
    alerts: AlertsPart | None = None
    folder: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in (*self.feed, *self.chain):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r:.80} is no name: use a-z, 0-9 and -")
        for name, feed in self.feed.items():
            for chain in feed.chains or ():
                if chain not in self.chain:
                    raise ValueError(f"feed.{name} names the chain {chain!r:.80}, which is not configured")
        return self

    def path(self, path: Path) -> Path:
        """A path of the file, relative to its folder."""
        return self.folder / path

    def secret(self, path: Path) -> str:
        """The first line of a private file; raises InputError if it is missing, or others can read it."""
        text = read_private_file(self.path(path), max_bytes=_MAX_SECRET).decode("utf-8", "replace")
        return text.split("\n", 1)[0].strip()

    @property
    def tls(self) -> Tls:
        """The server's TLS, with paths relative to this file's folder."""
        tls = self.server.tls
        paths = {"certificate": tls.certificate, "key": tls.key, "client_ca": tls.client_ca}
        return tls.model_copy(update={name: None if one is None else self.path(one) for name, one in paths.items()})

    @property
    def store_url(self) -> str:
        """The URL of the database; raises InputError if its file cannot be read."""
        if self.store.url_file is not None:
            return self.secret(self.store.url_file)
        return f"sqlite:///{self.path(self.store.file).absolute()}"


def read_feeds_file(path: Path) -> FeedsFile:
    """Read and check the file.

    Raises:
        FeedsFileError: it is not TOML; a setting is unknown, missing, wrong or unsafe.
        InputError: it cannot be read.
    """
    try:
        document = tomllib.loads(_text(path), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as err:
        raise FeedsFileError(
            f"{path} is not TOML: {str(err)[:200]}.", "docs/reference/feeds-toml.md lists the settings."
        ) from err
    if "folder" in document:
        raise FeedsFileError("There is no setting folder.", "docs/reference/feeds-toml.md lists the settings.")
    try:
        found = FeedsFile.model_validate({**document, "folder": path.parent})
    except (ValidationError, InputError) as err:
        raise _named(err) from err
    _require_safe(found)
    return found


def _text(path: Path) -> str:
    cure = "Check --config; docs/guides/feed-daemon.md has an example."
    return read_file(path, max_bytes=_MAX_FILE, cure=cure).decode()


def _require_safe(found: FeedsFile) -> None:
    """Raise FeedsFileError if other machines could reach the server without encryption."""
    server = found.server
    if (server.tls.certificate is None) != (server.tls.key is None):
        raise FeedsFileError("server.tls.certificate and server.tls.key belong together.", "Give both.")
    try:
        address = server.address
    except SettingsError as err:
        raise FeedsFileError(f"The setting server.listen is invalid: {err.cause}", err.cure) from err
    if not (address.is_local or server.tls.certificate or server.insecure_no_tls):
        raise FeedsFileError(
            f"At {address.text}, connections would not be encrypted.",
            "Set server.tls, or insecure-no-tls = true behind a proxy that terminates TLS.",
        )


def _named(err: ValidationError | InputError) -> FeedsFileError:
    """The first wrong setting, without its value, which may be a secret in the wrong place."""
    cure = "docs/reference/feeds-toml.md lists the settings."
    if isinstance(err, InputError):
        return FeedsFileError(err.cause, err.cure or cure)
    first = err.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return FeedsFileError(f"There is no setting {place}.", cure)
    if first["type"] == "missing":
        return FeedsFileError(f"The setting {place} is missing.", cure)
    said = first["msg"].removeprefix("Value error, ")
    return FeedsFileError(
        f"The setting {place} is invalid: {said}." if place else f"The file is inconsistent: {said}.", cure
    )


def _may_hold_secret(url: str) -> bool:
    """Whether a URL has more than scheme, host and port."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False  # refused when it is used
    return bool(parts.username or parts.password or parts.query or parts.path.strip("/"))
