import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.service.auth import Authenticator, TokenFile
from zkinfer.service.errors import ForbiddenError, TokenFileError, TooManyRequestsError, UnauthenticatedError
from zkinfer.service.identity import ANONYMOUS, Identity, Rights
from zkinfer.service.limits import RateLimiter


@pytest.fixture
def tokens(tmp_path):
    return TokenFile(tmp_path / "tokens.json")


def header(text):
    return [("user-agent", "test"), ("authorization", text)]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_authorization_scheme_is_case_insensitive(tokens, scheme):
    _, token = tokens.new("alice")
    assert Authenticator(tokens=tokens).identify(header(f"{scheme} {token}"), ()).name == "alice"


@pytest.mark.parametrize("text", ["", "Bearer", "Bearer ", "Basic abc", "zki_000000000000_" + "0" * 64])
def test_invalid_token_is_refused_even_if_anonymous_access_is_allowed(tokens, text):
    tokens.new("alice")
    with pytest.raises(UnauthenticatedError, match="mistyped, expired or revoked"):
        Authenticator(tokens=tokens, anonymous=True).identify(header(text), ())


def test_two_tokens_are_refused(tokens):
    _, token = tokens.new("alice")
    with pytest.raises(UnauthenticatedError):
        Authenticator(tokens=tokens).identify(header(f"Bearer {token}") * 2, ())


def test_missing_token_is_refused_with_the_cure(tokens):
    with pytest.raises(UnauthenticatedError, match=r"no token.*authorization: Bearer"):
        Authenticator(tokens=tokens).identify([], ())


def test_local_caller_is_anonymous_until_the_first_token_is_made(tokens):
    authenticator = Authenticator(tokens=tokens, local=True)
    assert authenticator.identify([], ()) is ANONYMOUS
    tokens.new("alice")
    with pytest.raises(UnauthenticatedError, match="no token"):
        authenticator.identify([], ())


@pytest.mark.parametrize("known", [True, False], ids=["token", "nobody"])
def test_every_caller_is_refused_while_the_token_file_is_missing(tokens, known):
    authenticator, (_, token) = Authenticator(tokens=tokens, local=True), tokens.new("alice")
    kept = tokens.path.rename(tokens.path.with_name("kept"))
    with pytest.raises(TokenFileError, match=r"has disappeared\. Restore it"):
        authenticator.identify(header(f"Bearer {token}") if known else [], ())
    kept.rename(tokens.path)
    assert authenticator.identify(header(f"Bearer {token}"), ()).name == "alice"


def test_anonymous_access_is_granted_if_configured(tokens):
    tokens.new("alice")
    assert Authenticator(tokens=tokens, anonymous=True).identify([], ()) is ANONYMOUS


def test_certificate_identifies_its_subject(tokens):
    assert Authenticator(tokens=tokens, certificates=True).identify([], [b"backend-1"]).name == "backend-1"


@pytest.mark.parametrize("names", [[], [b""], [b"a", b"b"], [b"Upper Case"], [b"\xff"], [b"anonymous"]])
def test_certificate_without_a_subject_is_refused(tokens, names):
    with pytest.raises(UnauthenticatedError, match="common name is not a valid identity"):
        Authenticator(tokens=tokens, certificates=True, anonymous=True).identify([], names)


def test_only_listed_subjects_are_accepted_if_there_is_a_list(tokens):
    authenticator = Authenticator(tokens=tokens, certificates=True, subjects={"a": Rights(unfinished_jobs=1)})
    assert authenticator.identify([], [b"a"]).rights.unfinished_jobs == 1
    with pytest.raises(UnauthenticatedError, match="certificate of b"):
        authenticator.identify([], [b"b"])


def test_token_does_not_help_a_certificate_that_is_not_listed(tokens):
    _, token = tokens.new("alice")
    authenticator = Authenticator(tokens=tokens, certificates=True, subjects={"backend": Rights()})
    with pytest.raises(UnauthenticatedError, match="certificate of other"):
        authenticator.identify(header(f"Bearer {token}"), [b"other"])
    assert authenticator.identify(header(f"Bearer {token}"), [b"backend"]).name == "alice"


def test_token_takes_precedence_over_the_certificate(tokens):
    _, token = tokens.new("alice")
    assert (
        Authenticator(tokens=tokens, certificates=True).identify(header(f"Bearer {token}"), [b"backend"]).name
        == "alice"
    )


def test_model_outside_the_rights_is_refused():
    alice = Identity(name="alice", rights=Rights(models=frozenset({"digits"})))
    alice.require_model("digits")
    with pytest.raises(ForbiddenError, match="alice may not use the model 'other'"):
        alice.require_model("other")


def test_calls_beyond_the_rate_are_refused_until_tokens_refill():
    now = [0.0]
    rates = RateLimiter(2.0, clock=lambda: now[0])
    for _ in range(2):
        rates.acquire(ANONYMOUS)
    with pytest.raises(TooManyRequestsError, match="2 calls per second") as caught:
        rates.acquire(ANONYMOUS)
    assert caught.value.retry_after == pytest.approx(0.5)
    now[0] += 0.5
    rates.acquire(ANONYMOUS)


def test_rate_of_the_identity_overrides_that_of_the_server():
    rates = RateLimiter(1.0, clock=lambda: 0.0)
    for _ in range(5):
        rates.acquire(Identity(name="alice", rights=Rights(calls_per_second=5)))


def test_rates_are_counted_per_identity():
    rates = RateLimiter(1.0, clock=lambda: 0.0)
    rates.acquire(Identity(name="alice"))
    rates.acquire(Identity(name="bob"))


@given(rate=st.floats(0.1, 100), pauses=st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_calls_are_bounded_by_rate_and_one_burst(rate, pauses):
    now, passed = [0.0], 0
    rates = RateLimiter(rate, clock=lambda: now[0])
    for pause in pauses:
        now[0] += pause
        try:
            rates.acquire(ANONYMOUS)
        except TooManyRequestsError:
            continue
        passed += 1
    assert passed <= max(1.0, rate) + rate * now[0] + 1e-6
