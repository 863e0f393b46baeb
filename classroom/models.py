"""A class: its rounds, who sits in each, what each began with, and the news that were published."""

from decimal import Decimal

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import UniqueConstraint

from base.storage.fields import AmountField
from markets.models import Asset, Market

NEWS_LENGTH, TITLE_LENGTH, NAME_LENGTH = 300, 80, 64
# In percent of what the scenario says.
STRENGTH, MOST_STRENGTH = 100, 300


class RoundState(models.TextChoices):
    """RUNNING trades, PAUSED is halted, CLOSING waits until no order is open, CLOSED is history."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"


class Round(models.Model):
    """One round of a class. `plan` is the scenario as it was when the round began.

    `ran_seconds` is how long it traded before `running_since`, which is null while it does not trade: the timetable
    goes by their sum. `is_open` is true or null, and unique: there is one open round at most.
    """

    title = models.CharField(max_length=TITLE_LENGTH)
    plan = models.JSONField()
    seed = models.PositiveBigIntegerField()
    currency = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    state = models.CharField(max_length=16, choices=RoundState.choices, default=RoundState.RUNNING)
    is_open = models.BooleanField(null=True, unique=True, default=True)
    # How much the house's bots trade.
    strength = models.PositiveSmallIntegerField(default=STRENGTH, validators=[MaxValueValidator(MOST_STRENGTH)])
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    running_since = models.DateTimeField(null=True)
    ran_seconds = models.FloatField(default=0)

    class Meta:
        db_table = "class_rounds"
        permissions = [("run_round", "Can run the rounds of a class")]

    def __str__(self) -> str:
        return f"round {self.pk}"


class RoundMarket(models.Model):
    """A market of a round: its events from `first_sequence` on and before `end_sequence`, which is null while it is
    open. `start_price` marks what never traded.
    """

    round = models.ForeignKey(Round, on_delete=models.PROTECT, related_name="markets")
    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    first_sequence = models.PositiveBigIntegerField()
    end_sequence = models.PositiveBigIntegerField(null=True)
    start_price = AmountField()

    class Meta:
        db_table = "class_round_markets"
        constraints = [UniqueConstraint(fields=["round", "market"], name="class_round_market")]

    def __str__(self) -> str:
        return f"{self.market_id} of round {self.round_id}"


class Seat(models.Model):
    """Who takes part in a round. `profit` is the last one, of a round that is closed."""

    round = models.ForeignKey(Round, on_delete=models.PROTECT, related_name="seats")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    name = models.CharField(max_length=NAME_LENGTH)
    team = models.CharField(max_length=NAME_LENGTH)
    # A bot of the house has no place on the leaderboard.
    is_bot = models.BooleanField(default=False)
    profit = AmountField(null=True)

    class Meta:
        db_table = "class_seats"
        constraints = [UniqueConstraint(fields=["round", "user"], name="class_seat")]

    def __str__(self) -> str:
        return self.name


class StartingBalance(models.Model):
    """What a user owned of an asset when the round began."""

    round = models.ForeignKey(Round, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    currency = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    amount = AmountField(default=Decimal(0))

    class Meta:
        db_table = "class_starting_balances"
        constraints = [UniqueConstraint(fields=["round", "user", "currency"], name="class_starting_balance")]

    def __str__(self) -> str:
        return f"{self.currency_id} of user {self.user_id} in round {self.round_id}"


class News(models.Model):
    """What was published in a round. `place` is the item's in the scenario, from 1, null of what the teacher wrote.

    `moves` are the changes of the markets' fair values, as fractions; `at_seconds` when, by the round's own time.
    """

    round = models.ForeignKey(Round, on_delete=models.PROTECT, related_name="news")
    place = models.PositiveSmallIntegerField(null=True)
    text = models.CharField(max_length=NEWS_LENGTH)
    moves = models.JSONField(default=dict)
    at_seconds = models.FloatField()
    published_at = models.DateTimeField()

    class Meta:
        db_table = "class_news"
        verbose_name_plural = "news"
        constraints = [UniqueConstraint(fields=["round", "place"], name="class_news_place")]

    def __str__(self) -> str:
        return self.text
