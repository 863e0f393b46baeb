"""How a round begins: its markets, its people, and the money with which everybody starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from balances.models import Balance
from balances.services import transfer
from base.storage.outages import again_on_deadlock
from base.web.errors import ExchangeError
from classroom.models import Round, RoundMarket, Seat, StartingBalance
from classroom.rounds import QUIET_SECONDS, RoundRefused, end_round, is_quiet, latest_round, open_round, set_status
from classroom.scenario import Scenario
from core.types import MarketStatus
from markets.models import Market
from markets.services import change_market, create_market, find_market, read_market
from matching.models import OrderBook
from users.acts import Actor
from users.models import User


@dataclass(frozen=True)
class Place:
    """Who is to take part in a round, and with which money."""

    user_id: int
    name: str
    team: str
    money: Mapping[str, Decimal]
    is_bot: bool = False


def list_markets(scenario: Scenario, actor: Actor) -> None:
    """Open the scenario's markets that do not exist, halted: the round lets them trade. Raises RoundRefused.

    What exists already gets the scenario's limits.
    """
    for plan in scenario.markets:
        fields = plan.as_fields()
        existing = find_market(plan.symbol)
        if existing is None:
            create_market(base=plan.base, quote=plan.quote, actor=actor, status=MarketStatus.HALTED.value, **fields)
            continue
        if (existing.tick_size, existing.lot_size) != (plan.tick, plan.lot):
            raise RoundRefused(f"{plan.symbol} exists already with another tick or lot, which never change")
        changes = {name: fields[name] for name in ("price_band", "maker_fee_rate", "taker_fee_rate", "fee_currency")}
        market = read_market(plan.symbol)
        if market.status == MarketStatus.TRADING:
            changes["status"] = MarketStatus.HALTED.value
        change_market(market, actor, **changes)


@again_on_deadlock
@transaction.atomic
def begin_round(scenario: Scenario, places: Sequence[Place], actor: Actor, seed: int) -> Round:
    """Give everybody the starting money, and let the markets trade: all of it or nothing. Raises RoundRefused.

    The markets exist and are halted, and nobody has an order in them. Of two who begin at the same moment one finds
    the number of the round taken.
    """
    if not settings.DEMO:
        # Whoever may run rounds would make money, withdraw others' and cancel their orders, without the permissions
        # and the second person that this takes.
        raise RoundRefused("a round gives and takes play money: not on an exchange that trades")
    if open_round() is not None:
        raise RoundRefused("a round is open already: end it or reset it")
    symbols = [plan.symbol for plan in scenario.markets]
    gone = Market.objects.filter(symbol__in=symbols, status=MarketStatus.DELISTED)
    if gone:
        raise RoundRefused(f"{gone[0].symbol} is delisted for good: start a class with another market")
    if not is_quiet(symbols):
        raise RoundRefused("orders are still open, or wait: try again in a moment")
    last = latest_round()
    number = 1 if last is None else last.pk + 1
    seated = _seated(scenario, places)
    for place in seated:
        _give(place, number, actor)
    round_ = _store(number, scenario, seated, actor, seed)
    set_status(symbols, MarketStatus.TRADING, actor)
    return round_


def _seated(scenario: Scenario, places: Sequence[Place]) -> list[Place]:
    """Those who may take part, each with an amount of every asset.

    Who was deactivated can be given nothing. Of what a team does not name it has nothing: it could be bought, and
    would neither count nor be taken back otherwise.
    """
    active = set(
        User.objects.filter(pk__in=[each.user_id for each in places], is_active=True).values_list("pk", flat=True)
    )
    nothing = dict.fromkeys(scenario.assets, Decimal(0))
    return [replace(each, money={**nothing, **each.money}) for each in places if each.user_id in active]


def _give(place: Place, number: int, actor: Actor) -> None:
    """Deposit or withdraw what the user's balances differ from the starting money. Raises RoundRefused."""
    held = {each.currency_id: each for each in Balance.objects.filter(user_id=place.user_id)}
    for currency, amount in sorted(place.money.items()):
        balance = held.get(currency)
        missing = amount - (balance.total if balance else Decimal(0))
        if not missing:
            continue
        try:
            transfer(
                user_id=place.user_id,
                currency=currency,
                amount=missing,
                reason=f"starting money of round {number}",
                reference=f"round-{number}-{place.user_id}-{currency}",
                operator_id=actor.user_id,
            )
        except ExchangeError as error:
            raise RoundRefused(f"{place.name} cannot be given {amount} {currency}: {error.message}") from error


def _store(number: int, scenario: Scenario, places: Sequence[Place], actor: Actor, seed: int) -> Round:
    now = timezone.now()
    try:
        with transaction.atomic():
            round_ = Round.objects.create(
                # The number that the transfers name.
                id=number,
                title=scenario.title,
                plan=scenario.model_dump(mode="json"),
                seed=seed,
                currency_id=scenario.currency,
                strength=scenario.strength,
                opened_by_id=actor.user_id,
                started_at=now,
                running_since=now,
            )
            sequences = dict(OrderBook.objects.values_list("market_id", "next_sequence"))
            RoundMarket.objects.bulk_create(
                RoundMarket(
                    round=round_,
                    market_id=plan.symbol,
                    first_sequence=sequences.get(plan.symbol, 1),
                    start_price=plan.fair_value,
                )
                for plan in scenario.markets
            )
            Seat.objects.bulk_create(
                Seat(round=round_, user_id=each.user_id, name=each.name, team=each.team, is_bot=each.is_bot)
                for each in places
            )
            StartingBalance.objects.bulk_create(
                StartingBalance(round=round_, user_id=each.user_id, currency_id=currency, amount=amount)
                for each in places
                for currency, amount in each.money.items()
            )
    except IntegrityError as error:
        raise RoundRefused("somebody else began a round at the same moment") from error
    return round_


def reset_round(actor: Actor, seconds: float = QUIET_SECONDS) -> Round:
    """Close the open round, if there is one, and begin the next one with the same people. Raises RoundRefused."""
    if open_round() is not None:
        end_round(actor, seconds)
    last = latest_round()
    if last is None:
        raise RoundRefused("there was no round yet")
    return begin_round(Scenario.model_validate(last.plan), places_of(last), actor, last.seed)


def places_of(round_: Round) -> list[Place]:
    """Who took part, with the money that each began with."""
    money: dict[int, dict[str, Decimal]] = {}
    for row in StartingBalance.objects.filter(round=round_):
        money.setdefault(row.user_id, {})[row.currency_id] = row.amount
    seats = Seat.objects.filter(round=round_).order_by("id")
    return [Place(each.user_id, each.name, each.team, money.get(each.user_id, {}), each.is_bot) for each in seats]
