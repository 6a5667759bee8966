import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.service.auth import Authenticator
from zkinfer.service.errors import ForbiddenError, TokenFileError, TooManyRequestsError, UnauthenticatedError
from zkinfer.service.identity import ANONYMOUS, Identity, Rights
from zkinfer.service.limits import RateLimiter
from zkinfer.service.tokens import TokenFile


@pytest.fixture
def tokens(tmp_path):
    return TokenFile(tmp_path / "tokens.json")


def header(text):
    return [("user-agent", "test"), ("authorization", text)]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_token_is_taken_in_any_spelling_of_its_scheme(tokens, scheme):
    _, token = tokens.new("alice")
    assert Authenticator(tokens=tokens).identify(header(f"{scheme} {token}"), ()).name == "alice"


@pytest.mark.parametrize("text", ["", "Bearer", "Bearer ", "Basic abc", "zki_000000000000_" + "0" * 64])
def test_header_without_a_valid_token_is_refused_even_where_anybody_may_come(tokens, text):
    tokens.new("alice")
    with pytest.raises(UnauthenticatedError, match="mistyped, expired or revoked"):
        Authenticator(tokens=tokens, anonymous=True).identify(header(text), ())


def test_two_tokens_are_one_too_many(tokens):
    _, token = tokens.new("alice")
    with pytest.raises(UnauthenticatedError):
        Authenticator(tokens=tokens).identify(header(f"Bearer {token}") * 2, ())


def test_nobody_is_refused_and_told_how(tokens):
    with pytest.raises(UnauthenticatedError, match=r"no token.*authorization: Bearer"):
        Authenticator(tokens=tokens).identify([], ())


def test_local_caller_is_anonymous_until_the_first_token_is_made(tokens):
    authenticator = Authenticator(tokens=tokens, local=True)
    assert authenticator.identify([], ()) is ANONYMOUS
    tokens.new("alice")
    with pytest.raises(UnauthenticatedError, match="no token"):
        authenticator.identify([], ())


@pytest.mark.parametrize("known", [True, False], ids=["token", "nobody"])
def test_nobody_comes_in_while_the_file_of_tokens_is_gone(tokens, known):
    authenticator, (_, token) = Authenticator(tokens=tokens, local=True), tokens.new("alice")
    kept = tokens.path.rename(tokens.path.with_name("kept"))
    with pytest.raises(TokenFileError, match=r"has disappeared\. Restore it"):
        authenticator.identify(header(f"Bearer {token}") if known else [], ())
    kept.rename(tokens.path)
    assert authenticator.identify(header(f"Bearer {token}"), ()).name == "alice"


def test_anonymous_where_that_was_said(tokens):
    tokens.new("alice")
    assert Authenticator(tokens=tokens, anonymous=True).identify([], ()) is ANONYMOUS


def test_certificate_names_its_bearer(tokens):
    assert Authenticator(tokens=tokens, certificates=True).identify([], [b"backend-1"]).name == "backend-1"


@pytest.mark.parametrize("names", [[], [b""], [b"a", b"b"], [b"Upper Case"], [b"\xff"], [b"anonymous"]])
def test_certificate_that_names_nobody_is_refused(tokens, names):
    with pytest.raises(UnauthenticatedError, match="common name is not a valid identity"):
        Authenticator(tokens=tokens, certificates=True, anonymous=True).identify([], names)


def test_only_listed_subjects_come_in_where_there_is_a_list(tokens):
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


def test_token_counts_before_the_certificate(tokens):
    _, token = tokens.new("alice")
    assert (
        Authenticator(tokens=tokens, certificates=True).identify(header(f"Bearer {token}"), [b"backend"]).name
        == "alice"
    )


def test_model_that_is_not_named_is_refused():
    alice = Identity(name="alice", rights=Rights(models=frozenset({"digits"})))
    alice.require_model("digits")
    with pytest.raises(ForbiddenError, match="alice may not use the model 'other'"):
        alice.require_model("other")


def test_calls_beyond_the_rate_are_refused_until_time_has_passed():
    now = [0.0]
    rates = RateLimiter(2.0, clock=lambda: now[0])
    for _ in range(2):
        rates.acquire(ANONYMOUS)
    with pytest.raises(TooManyRequestsError, match="2 calls per second") as caught:
        rates.acquire(ANONYMOUS)
    assert caught.value.retry_after == pytest.approx(0.5)
    now[0] += 0.5
    rates.acquire(ANONYMOUS)


def test_rate_of_the_identity_counts_before_the_servers():
    rates = RateLimiter(1.0, clock=lambda: 0.0)
    for _ in range(5):
        rates.acquire(Identity(name="alice", rights=Rights(calls_per_second=5)))


def test_one_identity_does_not_use_up_anothers_rate():
    rates = RateLimiter(1.0, clock=lambda: 0.0)
    rates.acquire(Identity(name="alice"))
    rates.acquire(Identity(name="bob"))


@given(rate=st.floats(0.1, 100), pauses=st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_no_more_calls_pass_than_time_and_one_burst_allow(rate, pauses):
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
