"""Dead letters: what operators see of them and may do about them, and how monitors hear of them."""

import pytest
from celery import current_app
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from prometheus_client import REGISTRY

from commands import queue
from core import market as core_market
from core.book import Book
from core.types import OrderType
from matching.models import DeadLetter
from matching.worker import tasks
from orders.models import Order
from tests.support.world import World, fund, outcome
from users.models import User

pytestmark = pytest.mark.dialect

LIST = reverse("admin:matching_deadletter_changelist")


@pytest.fixture
def broken(transactional_db, monkeypatch, settings):
    """Makes the engine break on limit orders, until it is mended."""
    settings.ENGINE_RETRY_MS = []
    real = core_market.place

    def place(self, taker, max_steps=None):
        if taker.type is OrderType.LIMIT:
            raise ZeroDivisionError("limits are not understood today")
        return real(self, taker, max_steps)

    with monkeypatch.context() as patch:
        patch.setattr(core_market, "place", place)
        yield patch


@pytest.fixture
def failed(broken) -> World:
    """Alice's bid has failed, and the engine is well again."""
    world = World.make()
    world.place(world.alice, "buy 1 @ 100 ioc", clientOrderId="k-1")
    world.match()
    broken.undo()
    return world


@pytest.fixture
def desk(failed) -> Client:
    client = Client()
    client.force_login(User.objects.create(username="op", email="op@x.org", is_staff=True, is_superuser=True))
    return client


def press(client: Client, button: str) -> str:
    """Choose all dead letters and press; what the page says then."""
    chosen = list(DeadLetter.objects.values_list("id", flat=True))
    return client.post(LIST, {"action": button, "_selected_action": chosen}, follow=True).content.decode()


def test_it_is_listed_with_its_error(failed, desk):
    page = desk.get(f"{LIST}?resolution__isempty=1").content.decode()
    assert "ZeroDivisionError: limits are not understood today" in page
    letter = DeadLetter.objects.get()
    detail = desk.get(reverse("admin:matching_deadletter_change", args=[letter.id])).content.decode()
    assert "Traceback (most recent call last)" in detail
    assert "ZeroDivisionError" in desk.get(f"{LIST}?q={letter.order_id}").content.decode()


def test_requeued_it_is_a_new_order_of_the_same_terms(failed, desk):
    assert "is REQUEUED" in press(desk, "requeue")
    letter = DeadLetter.objects.select_related("resolved_by").get()
    first, second = Order.objects.order_by("id")
    assert (letter.resolution, letter.resolved_by.username, letter.successor_id) == ("REQUEUED", "op", second.id)
    assert (first.status, second.time_in_force, second.correlation_id) == ("FAILED", "IOC", first.correlation_id)
    failed.play(failed.bob, "sell 1 @ 100")
    assert outcome(failed.alice.get(f"/orders/{second.id}")) == "1 expired ioc_remainder"


def test_it_is_requeued_once(failed, desk):
    press(desk, "requeue")
    assert "is REQUEUED already" in press(desk, "requeue")
    assert Order.objects.count() == 2


def test_what_cannot_be_paid_any_more_is_not_requeued(failed, desk):
    fund(failed.alice.user, USD="-9950")
    assert "100 USD needed" in press(desk, "requeue")
    assert (Order.objects.count(), DeadLetter.objects.get().resolution) == (1, None)


def test_nobody_who_has_left_gets_an_order(failed, desk):
    User.objects.filter(username="alice").update(is_active=False)
    assert "is not active any more" in press(desk, "requeue")
    assert Order.objects.count() == 1


def test_what_has_had_an_effect_is_not_requeued(failed, desk):
    Order.objects.update(status="OPEN")
    assert "it has had an effect" in press(desk, "requeue")
    Order.objects.update(status="FAILED")
    assert Order.objects.count() == 1


def test_resolved_it_is_out_of_the_way(failed, desk):
    assert "is RESOLVED" in press(desk, "resolve")
    assert "ZeroDivisionError" not in desk.get(f"{LIST}?resolution__isempty=1").content.decode()


def test_looking_is_not_dealing(failed):
    client = Client()
    viewer = User.objects.create(username="viewer", email="v@x.org", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_deadletter"))
    client.force_login(viewer)
    assert "ZeroDivisionError" in client.get(LIST).content.decode()
    press(client, "requeue")
    assert DeadLetter.objects.get().resolution is None


def test_a_cancel_is_asked_for_again(broken, monkeypatch):
    broken.undo()
    world = World.make()
    order_id = world.play(world.alice, "buy 1 @ 100")["orderId"]
    world.alice.call("DELETE", f"/orders/{order_id}")
    with monkeypatch.context() as patch:
        patch.setattr(Book, "cancel", None)
        world.match()
    client = Client()
    client.force_login(User.objects.create(username="op", email="op@x.org", is_staff=True, is_superuser=True))
    assert "is REQUEUED" in press(client, "requeue")
    world.match()
    assert outcome(world.alice.get(f"/orders/{order_id}")) == "1 cancelled user_cancelled"


def test_it_is_announced_on_a_queue_of_its_own(broken, monkeypatch):
    sent = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **options: sent.append((name, options)))
    world = World.make()
    before = REGISTRY.get_sample_value("exchange_dead_letters_total", {"symbol": "BTC-USD"}) or 0
    order_id = world.place(world.alice, "buy 1 @ 100").body["data"]["orderId"]
    world.match()
    [(name, options)] = [(name, options) for name, options in sent if name == queue.DEAD_LETTER_TASK]
    assert (name, options["queue"]) == ("matching.dead_letter", "orders.dlq")
    [letter] = options["args"]
    assert (letter["orderId"], letter["symbol"], letter["attempts"]) == (order_id, "BTC-USD", 1)
    assert letter["correlationId"] == Order.objects.get(id=order_id).correlation_id
    assert REGISTRY.get_sample_value("exchange_dead_letters_total", {"symbol": "BTC-USD"}) == before + 1


def test_the_consumer_says_so_in_the_log(caplog):
    what = {"id": 7, "kind": "NEW", "orderId": 3, "symbol": "BTC-USD", "correlationId": None}
    letter = {**what, "error": "ZeroDivisionError: x", "attempts": 4}
    tasks.dead_letter(letter)
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == (
        "ERROR",
        "dead letter 7: NEW of order 3 in BTC-USD: ZeroDivisionError: x",
    )


def test_a_broker_that_is_away_changes_nothing(broken, monkeypatch):
    def away(*_args, **_options):
        raise ConnectionError

    monkeypatch.setattr(current_app, "send_task", away)
    world = World.make()
    world.place(world.alice, "buy 1 @ 100")
    world.match()
    assert Order.objects.get().status == "FAILED"
