from zkinfer.ui.access import Access, is_token_of


def test_key_opens_a_session():
    access = Access()
    session = access.enter(access.key)
    assert access.session(session.id) is session
    assert is_token_of(session, session.token)


def test_other_key_opens_none():
    access = Access()
    assert access.enter("") is None
    assert access.enter(access.key[:-1]) is None
    assert access.enter(Access().key) is None
    assert access.enter("é") is None


def test_sessions_and_their_tokens_differ():
    access = Access()
    first, second = access.enter(access.key), access.enter(access.key)
    assert first.id != second.id
    assert not is_token_of(first, second.token)


def test_token_of_another_page_is_refused():
    one, other = Access(), Access()
    assert not is_token_of(one.enter(one.key), other.enter(other.key).token)


def test_unknown_session_is_none():
    assert Access().session("") is None


def test_oldest_session_closes_when_there_are_too_many():
    access = Access()
    first = access.enter(access.key)
    last = [access.enter(access.key) for _ in range(64)][-1]
    assert access.session(first.id) is None
    assert access.session(last.id) is last


def test_secrets_are_not_in_the_representation():
    access = Access()
    access.enter(access.key)
    assert access.key not in repr(access)
    assert "_s" not in repr(access)
