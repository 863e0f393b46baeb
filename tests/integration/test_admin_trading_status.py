"""Halting and resuming in the admin: asked first, then a command in the market's own sequence, and noted who did it."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from commands.models import Command
from markets.models import Market
from matching.models import StatusChange
from operations.market_summary import read_summary
from tests.support.world import World, allow


def switch_url(status: str) -> str:
    return reverse("admin:markets_market_status", args=[status])


def test_a_halt_is_asked_first(world: World, operator):
    world.place(world.bob, "sell 1 @ 100")
    page = operator.get(reverse("admin:markets_market_change", args=["BTC-USD"])).content.decode()
    link = f"{switch_url('HALTED')}?symbol=BTC-USD"
    assert f'href="{link}"' in page
    assert switch_url("TRADING") not in page, "it trades already"
    asked = operator.get(link).content.decode()
    assert "Orders that wait already are matched" in asked
    assert Market.objects.get().status == "TRADING"
    answer = operator.post(switch_url("HALTED"), {"symbol": "BTC-USD"}, follow=True)
    assert "BTC-USD is HALTED" in answer.content.decode()
    assert list(Command.objects.values_list("kind", flat=True)) == ["NEW", "HALT"]
    world.match()
    assert [change.status for change in StatusChange.objects.all()] == ["HALTED"]
    assert (LogEntry.objects.get().get_change_message(), LogEntry.objects.get().object_id) == (
        "Made HALTED.",
        "BTC-USD",
    )


@pytest.mark.parametrize(
    ("action", "status"),
    [("halt", "HALTED"), ("cancel_only", "CANCEL_ONLY"), ("auction", "AUCTION"), ("resume", "TRADING")],
)
def test_from_the_list(world: World, operator, action, status):
    form = {"action": action, "_selected_action": ["BTC-USD"]}
    asked = operator.post(reverse("admin:markets_market_changelist"), form, follow=True)
    assert asked.redirect_chain == [(f"{switch_url(status)}?symbol=BTC-USD", 302)]
    assert not Command.objects.exists()
    operator.post(switch_url(status), {"symbol": "BTC-USD"})
    assert Market.objects.get().status == status
    world.match()


def test_it_takes_the_permission_to_change_markets(world: World):
    client, clerk = Client(), world.clerk("markets.view_market")
    client.force_login(clerk.user)
    page = client.get(reverse("admin:markets_market_change", args=["BTC-USD"])).content.decode()
    assert "Halt" not in page
    assert "Just now" not in page, "what is told there takes permissions of its own"
    for method in (client.get, client.post):
        assert method(switch_url("HALTED"), {"symbol": "BTC-USD"}).status_code == 403
    allow(clerk, "markets.change_market")
    assert client.post(switch_url("HALTED"), {"symbol": "BTC-USD"}).status_code == 302
    assert Market.objects.get().status == "HALTED"
    world.match()


@pytest.mark.parametrize(("status", "symbol"), [("CLOSED", "BTC-USD"), ("HALTED", "DOGE-USD"), ("HALTED", "")])
def test_what_is_not_there_is_not_found(world: World, operator, status, symbol):
    assert operator.post(switch_url(status), {"symbol": symbol}).status_code == 404


def test_a_foreign_page_cannot_halt(world: World, operator):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(switch_url("HALTED"), {"symbol": "BTC-USD"}).status_code == 403


def test_a_markets_page_says_how_it_is(world: World, operator):
    page = reverse("admin:markets_market_change", args=["BTC-USD"])
    assert "no book yet" in operator.get(page).content.decode()

    def lines() -> dict[str, str]:
        return {line.name: line.text for line in read_summary("BTC-USD", lambda _permission: True)}

    assert lines() == {
        "engine": "no book yet: it is made for the first order",
        "waiting": "0 commands",
        "workers": "0 alive",
        "last trade": "-",
    }
    world.play(world.bob, "sell 2 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    told = lines()
    assert told["engine"] == "TRADING, 3 events"
    assert told["last trade"].startswith("1 @ 100, ")
