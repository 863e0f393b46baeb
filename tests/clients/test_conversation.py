"""One call, attempt by attempt, without a network."""

import json
import time
from decimal import Decimal

import pytest

from clients.python.clearbell import (
    Forbidden,
    HmacKey,
    KeyReused,
    NoAnswer,
    NotSignedIn,
    NotUnderstood,
    Password,
    Refused,
    Retry,
    TooMany,
    limit,
)
from clients.python.clearbell.calls import account, orders
from clients.python.clearbell.calls.call import Reply
from clients.python.clearbell.conversation import Conversations
from clients.python.clearbell.credentials import Nobody
from clients.python.clearbell.retry import Cut
from clients.python.clearbell.terms import body_of
from tests.clients.fakes import ACCEPTED, ORDER, Fake, done, refused
from tests.support.signing import Signer

BUY = limit("BTC-USD", "BUY", "2", Decimal("100.10"))
TOKENS = {"accessToken": "a1", "refreshToken": "r1", "expiresIn": 600}


def talk(credentials=None, **retry):
    return Conversations(credentials or Nobody(), Retry(**retry))


def test_what_may_have_been_stored_is_sent_again_under_its_key():
    fake = Fake(Cut("read timeout"), refused(503, "UNAVAILABLE"), refused(500, "INTERNAL_ERROR"), done(ACCEPTED, 202))
    accepted = fake.run(talk().answer(orders.place(BUY)))
    assert accepted.order_id == 7
    keys = {json.loads(request.content)["clientOrderId"] for request in fake.sent}
    assert keys == {BUY.client_order_id} and len(fake.sent) == 4
    assert all(later > before for before, later in zip([0.05, 0.1, 0.2], fake.pauses, strict=True))


def test_what_was_refused_is_not_sent_again():
    fake = Fake(refused(400, "PRICE_OFF_TICK", field="price", tickSize="0.01"))
    with pytest.raises(Refused, match="PRICE_OFF_TICK") as caught:
        fake.run(talk().answer(orders.place(BUY)))
    assert (caught.value.tick_size, caught.value.status, len(fake.sent)) == ("0.01", 400, 1)
    assert not hasattr(caught.value, "lot_size")


def test_throttled_requests_wait_as_long_as_the_answer_says():
    fake = Fake(refused(429, "TOO_MANY_REQUESTS", retryAfterMs=87), done([]))
    fake.run(talk().answer(orders.fills()))
    assert fake.pauses == [0.087]
    with pytest.raises(TooMany) as caught:
        Fake(refused(429, "SIGN_IN_LOCKED", retryAfterMs=900_000)).run(talk().answer(account.sign_in("a", "b")))
    assert caught.value.retry_after == 900


def test_patience_ends_and_the_outcome_is_unknown():
    with pytest.raises(NoAnswer, match="after 3 attempts"):
        Fake(*[Cut("reset")] * 9).run(talk(attempts=3).answer(orders.place(BUY)))
    # The market was busy, and nothing was stored: that is known.
    with pytest.raises(Refused, match="MARKET_BUSY"):
        Fake(*[refused(503, "MARKET_BUSY")] * 9).run(talk(attempts=3).answer(orders.place(BUY)))
    # Busy now, but perhaps stored before.
    with pytest.raises(NoAnswer):
        Fake(Cut("reset"), *[refused(503, "MARKET_BUSY")] * 9).run(talk(attempts=3).answer(orders.place(BUY)))


def test_what_would_be_done_twice_is_sent_once():
    fake = Fake(Cut("reset"), done({"keyId": "1", "secret": "s"}, 201))
    with pytest.raises(NoAnswer):
        fake.run(talk().answer(account.make_key("bot")))
    # A connection that was refused has stored nothing.
    fake = Fake(Cut("refused", was_sent=False), done({"keyId": "1", "secret": "s"}, 201))
    assert fake.run(talk().answer(account.make_key("bot"))).secret == "s"


@pytest.mark.parametrize(
    ("call", "code"), [(orders.cancel(7), "ORDER_CLOSED"), (orders.amend(7, price="1"), "NOTHING_TO_AMEND")]
)
def test_a_change_that_comes_again_and_is_done_already_is_done(call, code):
    changed = Fake(Cut("reset"), refused(409, code)).run(talk().answer(call))
    assert changed.was_done
    # At the first attempt it is news: the order was filled, say.
    with pytest.raises(Refused, match=code):
        Fake(refused(409, code)).run(talk().answer(call))


def test_a_strict_cancel_that_came_late_is_refused():
    with pytest.raises(Refused, match="ORDER_CLOSED"):
        Fake(Cut("reset"), refused(409, "ORDER_CLOSED")).run(talk().answer(orders.cancel(7, strict=True)))


def test_a_token_that_is_over_is_renewed_once_and_the_request_sent_again():
    credentials = Password("alice", "secret")
    conversation = talk(credentials)
    fake = Fake(done(TOKENS), done([]))
    fake.run(conversation.answer(orders.fills()))
    # Two requests are refused with the same token; the first renews it, and the second finds it renewed.
    both = [conversation.answer(orders.fills()), conversation.answer(orders.fills())]
    late = both[1]
    sent = next(late)
    renewed = {**TOKENS, "accessToken": "a2", "refreshToken": "r2"}
    fake = Fake(refused(401, "NOT_AUTHENTICATED", reason="TOKEN_EXPIRED"), done(renewed), done([]))
    fake.run(both[0])
    assert [request.headers.get("Authorization") for request in fake.sent] == ["Bearer a1", None, "Bearer a2"]
    assert json.loads(fake.sent[1].content) == {"refreshToken": "r1"}
    assert sent.request.headers["Authorization"] == "Bearer a1"
    again = late.send(refused(401, "NOT_AUTHENTICATED", reason="TOKEN_EXPIRED"))
    assert again.request.headers["Authorization"] == "Bearer a2"


def test_a_renewal_whose_answer_is_lost_is_a_new_sign_in():
    credentials = Password("alice", "secret")
    conversation = talk(credentials)
    Fake(done({**TOKENS, "expiresIn": 0}), done([])).run(conversation.answer(orders.fills()))
    fake = Fake(Cut("reset"), done({**TOKENS, "accessToken": "a3"}), done([]))
    fake.run(conversation.answer(orders.fills()))
    assert fake.targets() == ["POST /auth/token/refresh", "POST /auth/token", "GET /fills"]


def test_each_attempt_of_a_key_is_signed_anew_by_the_clock_of_the_exchange():
    fake = Fake(refused(401, "TIMESTAMP_OUT_OF_WINDOW", serverTime=1_767_225_600_000), Cut("reset"), done([]))
    fake.run(talk(HmacKey("id", "secret")).answer(orders.fills(symbol="BTC-USD")))
    first, second, third = ({**request.headers} for request in fake.sent)
    assert abs(int(second["X-Timestamp"]) - 1_767_225_600_000) < 5_000
    assert first["X-Signature"] != second["X-Signature"]
    wanted = Signer("id", "secret").sign(third["X-Timestamp"], "GET", "/api/v1/fills?symbol=BTC-USD")
    assert third["X-Signature"] == wanted


def test_a_batch_has_a_result_for_each():
    results = [
        {**ACCEPTED, "code": 202, "replayed": True},
        {"code": 422, "error": "CLIENT_ORDER_ID_REUSED", "data": {}},
    ]
    first, second = Fake(done({"results": results}, 202)).run(talk().answer(orders.place_many([BUY, BUY])))
    assert first.replayed and isinstance(second, KeyReused)


def test_amounts_are_exact():
    order = Fake(done(ORDER)).run(talk().answer(orders.order(7)))
    assert str(order.price) == "100.10" and order.created_at.tzinfo is not None
    assert body_of(limit("BTC-USD", "BUY", 3, Decimal("1E-7")))["price"] == "0.0000001"
    with pytest.raises(TypeError, match="float"):
        body_of(limit("BTC-USD", "BUY", 3, 0.1))


def test_what_may_have_been_stored_stays_unknown_when_its_repeat_is_not_let_in():
    fake = Fake(Cut("reset"), refused(403, "ADDRESS_NOT_ALLOWED"))
    with pytest.raises(NoAnswer) as caught:
        fake.run(talk(HmacKey("id", "secret")).answer(orders.place(BUY)))
    # The same request, for `send`.
    assert json.loads(caught.value.call.content)["clientOrderId"] == BUY.client_order_id
    with pytest.raises(NoAnswer):
        Fake(Cut("reset"), refused(401, "KEY_UNKNOWN")).run(talk(HmacKey("id", "secret")).answer(orders.place(BUY)))
    # The token is over after the first attempt, and neither renewed nor asked for anew.
    over = (refused(401, "TOKEN_REUSED"), refused(401, "INVALID_CREDENTIALS"))
    with pytest.raises(NoAnswer):
        Fake(done({**TOKENS, "expiresIn": 0}), Cut("reset"), *over).run(
            talk(Password("alice", "changed")).answer(orders.place(BUY))
        )
    # A read has no outcome, and a wrong password none either.
    with pytest.raises(Forbidden):
        Fake(Cut("reset"), refused(403, "SCOPE_REQUIRED")).run(talk().answer(orders.fills()))
    with pytest.raises(NotSignedIn):
        Fake(Cut("reset"), refused(401, "INVALID_CREDENTIALS")).run(talk().answer(account.sign_in("alice", "wrong")))


def test_a_wrong_password_in_a_form_is_tried_once():
    fake = Fake(done(TOKENS), *[refused(401, "INVALID_CREDENTIALS")] * 9)
    with pytest.raises(NotSignedIn):
        fake.run(talk(Password("alice", "secret")).answer(account.change_password("wrong", "new secret")))
    assert fake.targets() == ["POST /auth/token", "POST /users/me/password"]


def test_no_two_requests_of_a_key_have_the_same_timestamp(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_767_225_600.0)
    key = HmacKey("id", "secret")
    calls = [Fake(done([])) for _ in range(50)]
    for each in calls:
        each.run(talk(key).answer(orders.fills()))
    assert len({each.sent[0].headers["X-Signature"] for each in calls}) == 50


@pytest.mark.parametrize("asked", ["-1", "nan", "inf", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_pause_that_no_exchange_asks_for_is_not_taken(asked):
    throttled = Reply(429, {"Retry-After": asked}, b'{"error": "TOO_MANY_REQUESTS"}')
    fake = Fake(throttled, done([]))
    fake.run(talk().answer(orders.fills()))
    assert fake.pauses == [0.1]


@pytest.mark.parametrize("status", [200, 302, 404, 413])
def test_a_page_of_a_proxy_is_no_answer_of_the_exchange(status):
    fake = Fake(*[Reply(status, {}, b"<html>")] * 9)
    with pytest.raises(NotUnderstood):
        fake.run(talk().answer(account.revoke_key("1")))
    assert len(fake.sent) == 1
