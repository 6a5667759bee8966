from pathlib import Path

import pytest

from zkinfer.service.addresses import Address
from zkinfer.service.auth import TokenFile
from zkinfer.service.errors import SettingsError
from zkinfer.service.settings_loader import load_settings

OPTIONS = {"repository": Path("models")}


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("ZKINFER_SETUP_PATH", str(tmp_path))
    for name in ("ZKINFER_HOME", "ZKINFER_STATE"):
        monkeypatch.delenv(name, raising=False)


def written(folder, text):
    path = folder / "zkinfer.toml"
    path.write_text(text)
    return path


def test_defaults_are_local_with_state_in_the_user_folder(tmp_path):
    settings = load_settings(OPTIONS)
    assert settings.address.is_local
    assert settings.state == tmp_path / "state" / "zkinfer"
    assert settings.store_url == f"sqlite:///{tmp_path}/state/zkinfer/jobs.sqlite"
    assert settings.token_file == tmp_path / "state" / "zkinfer" / "tokens.json"
    assert not settings.reflection


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ZKINFER_HOME": "/srv/z"}, "/srv/z/state"),
        ({"ZKINFER_HOME": "/srv/z", "ZKINFER_STATE": "/srv/s"}, "/srv/s"),
        ({"ZKINFER_HOME": ""}, "{folder}/state/zkinfer"),
        ({"ZKINFER_HOME": "", "XDG_STATE_HOME": "", "HOME": "/home/ann"}, "/home/ann/.local/state/zkinfer"),
    ],
    ids=["home", "state", "empty", "neither"],
)
def test_home_moves_the_state_too(tmp_path, monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    state = Path(expected.format(folder=tmp_path))
    assert load_settings(OPTIONS).state == state
    assert load_settings(OPTIONS).token_file == state / "tokens.json"


def test_contract_of_other_commands_is_no_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("ZKINFER_WORKS", "0x" + "12" * 20)
    assert load_settings(OPTIONS).directory.database is None
    monkeypatch.setenv("ZKINFER_DIRECTORY__DATABASE", "works.db")
    file = written(tmp_path, '[directory]\nroots = "roots.pem"\n')
    found = load_settings(OPTIONS, file).directory
    assert (found.database.get_secret_value(), found.roots) == ("works.db", Path("roots.pem"))


def test_option_overrides_variable_overrides_file(tmp_path, monkeypatch):
    file = written(tmp_path, 'listen = "127.0.0.1:1"\nreload_seconds = 9\n[limits]\npage_size = 1\nwait_seconds = 1\n')
    monkeypatch.setenv("ZKINFER_LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("ZKINFER_LIMITS__PAGE_SIZE", "2")
    settings = load_settings({**OPTIONS, "listen": "127.0.0.1:3"}, file)
    assert settings.listen == "127.0.0.1:3"
    assert (settings.limits.page_size, settings.limits.wait_seconds) == (2, 1)
    assert settings.reload_seconds == 9


def test_sizes_are_parsed_with_units(tmp_path):
    file = written(tmp_path, '[limits]\nmessage_bytes = "16MiB"\n[proving]\nmemory = "2GB"\n')
    settings = load_settings(OPTIONS, file)
    assert (settings.limits.message_bytes, settings.proving.memory) == (16 << 20, 2_000_000_000)


def test_memory_for_requests_follows_their_largest_size():
    assert load_settings(OPTIONS).limits.memory == 160 << 20
    assert load_settings({**OPTIONS, "limits": {"message_bytes": 1 << 20}}).limits.memory == 8 << 20
    assert load_settings({**OPTIONS, "limits": {"request_memory": "1GiB"}}).limits.memory == 1 << 30


def test_proof_mode_is_set_for_single_models(tmp_path, monkeypatch):
    file = written(tmp_path, "[models.digits]\nproof_mode = 'none'\n[models.'A.b-1']\nproof_mode = 'sync'\n")
    monkeypatch.setenv("ZKINFER_MODELS__TREES__PROOF_MODE", "none")
    settings = load_settings(OPTIONS, file)
    modes = {name: settings.proof_mode(name) for name in ("digits", "A.b-1", "trees", "other")}
    assert modes == {"digits": "none", "A.b-1": "sync", "trees": "none", "other": None}


def test_database_password_is_hidden():
    settings = load_settings({**OPTIONS, "store": "postgresql+psycopg://u:hunter2@host/db"})
    assert "hunter2" not in repr(settings)
    assert settings.store_url == "postgresql+psycopg://u:hunter2@host/db"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense = 1", "no setting nonsense"),
        ('[limits]\nrequest_memory = "100MiB"', "limits.request_memory must be at least 8 times limits.message_bytes"),
        ("[models.digits]\nproof_mode = 'later'", r"models\.digits\.proof_mode is invalid"),
        ("[models.digits]\nproof_mod = 'none'", r"no setting models\.digits\.proof_mod"),
        ("[models.'../digits']\n", "'../digits' is not the name of a model"),
        ("[limits]\nstreams = 1", "limits.streams is invalid"),
        ("[proving]\nlease_seconds = 1", "proving.lease_seconds is invalid"),
        ("[queue]\nbegun = 0", "queue.begun is invalid"),
        ("[limits]\nnonsense = 1", r"no setting limits\.nonsense"),
        ("[limits]\npage_size = 0", r"limits\.page_size is invalid"),
        ('[log]\nlevel = "loud"', r"log\.level is invalid"),
        ("listen = 5", "listen is invalid"),
        ("listen", "is not TOML"),
        ('[trust]\nroot = "r.json"', "trust.root and trust.fingerprint belong together"),
        (f'[trust]\nfingerprint = "sha256:{"0" * 64}"', "trust.root and trust.fingerprint belong together"),
        ('[trust]\nroot = "r"\nfingerprint = "00"', r"trust\.fingerprint is invalid"),
        ('[tls]\ncertificate = "c"', "certificate and tls.key belong together"),
        ('[tls]\nclient_ca = "c"', "client_ca needs tls.certificate"),
        ("[tls.subjects.a]", "subjects needs tls.client_ca"),
        (
            'tls = {certificate = "c", key = "k", client_ca = "a", subjects = {Bob = {}}}',
            "'Bob' is not a valid identity name",
        ),
        ('listen = "nowhere"', "is not an address"),
        ('metrics = "unix:/run/metrics"', "not at a Unix socket"),
        ('metrics = "0.0.0.0:9"', "other machines could read the metrics"),
    ],
)
def test_invalid_setting_is_refused(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(OPTIONS, written(tmp_path, text))


def test_invalid_value_is_not_quoted(monkeypatch):
    monkeypatch.setenv("ZKINFER_QUEUE__QUEUED", "hunter2")
    with pytest.raises(SettingsError, match=r"queue\.queued is invalid") as caught:
        load_settings(OPTIONS)
    assert "hunter2" not in str(caught.value)


def test_unknown_variable_is_refused(monkeypatch):
    monkeypatch.setenv("ZKINFER_LISTN", "x")
    with pytest.raises(SettingsError, match=r"ZKINFER_LISTN is not a setting\. Did you mean ZKINFER_LISTEN\?"):
        load_settings(OPTIONS)


def test_repository_is_required():
    with pytest.raises(SettingsError, match=r"repository is missing.*--repository"):
        load_settings({})


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read: no such file"):
        load_settings(OPTIONS, tmp_path / "none.toml")


# --- settings that must be enabled explicitly


def test_listening_publicly_without_tls_is_refused():
    with pytest.raises(SettingsError, match=r"connections would not be encrypted.*--insecure-no-tls"):
        load_settings({**OPTIONS, "listen": "0.0.0.0:8001", "insecure_anonymous": True})


def test_listening_publicly_without_authentication_is_refused():
    with pytest.raises(SettingsError, match=r"anyone could call.*--insecure-anonymous"):
        load_settings({**OPTIONS, "listen": "0.0.0.0:8001", "insecure_no_tls": True})


def test_listening_publicly_with_tls_and_tokens_is_accepted(tmp_path):
    TokenFile(tmp_path / "tokens.json").new("alice")
    tls = {"certificate": tmp_path / "c", "key": tmp_path / "k"}
    load_settings({**OPTIONS, "listen": "0.0.0.0:8001", "tls": tls, "tokens": tmp_path / "tokens.json"})


def test_listening_publicly_with_explicit_unsafe_settings_is_accepted():
    load_settings({**OPTIONS, "listen": "0.0.0.0:8001", "insecure_no_tls": True, "insecure_anonymous": True})


def test_named_token_file_must_exist(tmp_path):
    with pytest.raises(SettingsError, match=r"token file .* does not exist"):
        load_settings({**OPTIONS, "tokens": tmp_path / "none.json"})


# --- addresses


@pytest.mark.parametrize("text", ["127.0.0.1:1", "localhost:0", "[::1]:8001", "unix:/run/zkinfer", "127.9.9.9:80"])
def test_loopback_address_is_local(text):
    assert Address.parse(text).is_local


@pytest.mark.parametrize("text", ["0.0.0.0:1", "[::]:1", "example.org:1", "10.0.0.1:1", "localhost.example.org:1"])
def test_public_address_is_not_local(text):
    assert not Address.parse(text).is_local


@pytest.mark.parametrize("text", ["", "8001", ":8001", "host", "host:", "host:99999", "::1:80", "unix:", "http://a:1"])
def test_malformed_address_is_refused(text):
    with pytest.raises(SettingsError, match="is not an address"):
        Address.parse(text)


def test_address_gets_the_bound_port():
    assert Address.parse("[::1]:0").with_port(7) == "[::1]:7"
    assert Address.parse("unix:/s").with_port(1) == "unix:/s"


PUBLIC_REST = {"rest": {"listen": "0.0.0.0:8000"}}


def test_http_is_off_by_default():
    assert load_settings(OPTIONS).rest.address is None


def test_http_at_a_public_address_needs_tls_and_authentication(tmp_path):
    with pytest.raises(SettingsError, match=r"At 0\.0\.0\.0:8000, connections would not be encrypted"):
        load_settings(OPTIONS | PUBLIC_REST)
    with pytest.raises(SettingsError, match=r"At 0\.0\.0\.0:8000, anyone could call"):
        load_settings(OPTIONS | PUBLIC_REST | {"insecure_no_tls": True})
    TokenFile(tmp_path / "tokens.json").new("alice")
    options = PUBLIC_REST | {"insecure_no_tls": True, "tokens": tmp_path / "tokens.json"}
    assert not load_settings(OPTIONS | options).rest.address.is_local


@pytest.mark.parametrize("origin", ["*", "app.example", "https://app.example/", "https://*.example", "null"])
def test_origin_that_is_not_one_origin_is_refused(origin):
    with pytest.raises(SettingsError, match=r"rest\.origins"):
        load_settings(OPTIONS | {"rest": {"origins": [origin]}})
