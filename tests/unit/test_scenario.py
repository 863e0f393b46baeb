"""A scenario's file: what is wrong with it is said in words, with the file, the line and the rule."""

import pytest

from classroom.scenario import load_scenario, read_scenario, shipped
from classroom.scenario_text import MOST_BYTES, ScenarioError
from tests.support.rounds import TEXT, scenario


def faults(text: str | bytes) -> list[str]:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ScenarioError) as refused:
        read_scenario("class.yaml", content)
    return str(refused.value).splitlines()


@pytest.mark.parametrize("name", shipped())
def test_what_is_shipped_is_good(name: str) -> None:
    found = load_scenario(name)
    assert found.news
    assert found.about
    assert {bot.kind for bot in found.bots} >= {"maker", "noise", "value"}


def test_three_are_shipped() -> None:
    assert shipped() == ["flash-crash", "news-shock", "price-discovery"]
    assert load_scenario("flash-crash").markets[0].price_band is not None


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ("title: A test", "titel: A test", "line 2, titel: is unknown here"),
        ("seed: 7", "seed: -1", "line 5, seed: input should be greater than or equal to 0 (is '-1')"),
        ("seconds: 60", "seconds: long", "line 4, seconds: input should be a valid number"),
        ("seconds: 60", "seconds: .nan", "line 4, seconds: input should be a finite number"),
        ("tick: 0.05", "tick: 0", "line 7, markets[0].tick: input should be greater than 0"),
        ("lot: 1,", "lot: 0.0000001,", "line 7, markets[0]: tick and lot have together 9 digits"),
        ("fair_value: 100,", "fair_value: 100.01,", "line 7, markets[0].fair_value: 100.01 is not a multiple"),
        ("ACME: 0}", "GOLD: 1}", "line 10, teams[1].money.GOLD: no market has GOLD; there are ACME, USD"),
        ("name: blue", "name: red", "line 9, teams[0].name: the name red is there twice"),
        ("size: 5", "size: 5.5", "line 12, bots[0].size: 5.5 is not a multiple of the lot 1"),
        ("kind: maker", "kind: market", "line 12, bots[0].kind: input should be 'maker', 'noise', 'value' or 'fund'"),
        ("at: 10,", "at: 60,", "line 14, news[0].at: the round ends after 60 seconds"),
        ("move: {ACME-USD", "move: {GOLD-USD", "line 14, news[0].move.GOLD-USD: there is no market GOLD-USD"),
        ("do: pause, seconds: 5", "do: pause", "line 16, timetable[0].seconds: is required"),
        ("do: strength, value: 50", "do: strength, value: 301", "line 17, timetable[1].value: input should be less"),
        ("do: strength, value: 50", "do: sell, bot: maker, quantity: 1", "there is no bot maker of kind fund"),
        ("about: Two students and a bot.", "title: again", "line 3: title is there twice"),
        ("about: Two students and a bot.", "about: [", "line 5: this is not YAML"),
        ("about: Two students and a bot.", "about: &a x", "line 3: anchors and aliases"),
        ("about: Two students and a bot.", "about: !!python/name:os.system x", "line 3: tags (!) are not taken here"),
        ("seed: 7", 'seed: !!int ""', "line 5: tags (!) are not taken here"),
        ("seed: 7", f"seed: 0x{'f' * 4000}", "line 5: more than 3,000 characters in one value"),
        ("seed: 7", f"seed: 0x{'f' * 2900}", "line 5, seed: input should be less than 4294967296"),
        ("title: A test", r'title: "\e[2J"', "line 2, title: must be words in one line"),
        ("text: ACME wins an order.", 'text: "  "', "line 14, news[0].text: must be words in one line"),
        ("title: A test", r'"ti\e[2Jtle": x', r"line 2, ti\x1b[2Jtle: is unknown here"),
    ],
)
def test_a_fault_is_named_with_its_line(written: str, instead: str, said: str) -> None:
    assert TEXT.count(written) == 1
    found = faults(TEXT.replace(written, instead))
    assert any(line.startswith("class.yaml") and said in line for line in found), found


def test_all_faults_are_named_at_once() -> None:
    assert len(faults(TEXT.replace("tick: 0.05", "tick: 0").replace("seed: 7", "seed: x"))) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "a scenario is fields with values"),
        (b"- 1", "a scenario is fields with values"),
        (b"\xff", "is not UTF-8"),
        (b"a: " + b"[" * 50 + b"]" * 50, "nested over"),
        (b"a: [" + b"1," * 6_000 + b"1]", "more than 5000 values"),
        (b"#" * (MOST_BYTES + 1), "at most 65,536 bytes"),
        (b"a: 0o9999999999_9\n1: 2", "class.yaml"),
    ],
)
def test_what_is_no_scenario_at_all(content: bytes, said: str) -> None:
    assert any(said in line for line in faults(content))


def test_seats_are_given_in_turn() -> None:
    plan = scenario(TEXT.replace("name: red, money", "name: red, share: 2, money"))
    assert [team.name for team in plan.seats(5)] == ["red", "red", "blue", "red", "red"]
