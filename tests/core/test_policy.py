from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.durations import write_duration
from streams.core.policy import BadSetting, PolicyBook
from streams.core.policy_reading import read_policy

FORMULAS = ("strict", "genesys")
A_TIME = 1_772_323_200_000
NEVER = -(10**15)

MARCH = "2026-03-01T00:00:00+01:00"
MARCH_MS = int(datetime(2026, 2, 28, 23, tzinfo=UTC).timestamp()) * 1000


def a_book(**parts: object) -> PolicyBook:
    return read_policy(parts, formulas=FORMULAS)


def wrong(**parts: object) -> str:
    """What the operator reads."""
    with pytest.raises(BadSetting) as stopped:
        a_book(**parts)
    return str(stopped.value)


def threshold_ms(book: PolicyBook, queue: str, channel: str = "voice", at_ms: int = A_TIME) -> int:
    return book.visit(queue, channel, at_ms).threshold_ms


@pytest.mark.parametrize(
    ("channel", "threshold", "instant_within_ms", "limit", "expires_after"),
    [
        ("voice", "20s", 2_000, "20s", "2h"),
        ("chat", "2m", 5_000, "2m", "1d"),
        ("messaging", "15m", None, "15m", "14d"),
        ("email", "1d", None, "1d", "14d"),
        ("fax", "15m", None, "15m", "14d"),
    ],
)
def test_each_channel_has_its_own_promise_where_nothing_is_set(
    channel: str, threshold: str, instant_within_ms: int | None, limit: str, expires_after: str
) -> None:
    policy = PolicyBook().visit("any", channel, A_TIME)

    assert write_duration(policy.threshold_ms) == threshold
    assert policy.short_abandon_ms == 5_000
    assert policy.instant_within_ms == instant_within_ms
    assert write_duration(policy.initial_response_limit_ms) == limit
    assert write_duration(policy.expires_after_ms) == expires_after


def test_a_queue_is_judged_by_common_limits_where_nothing_is_set() -> None:
    policy = PolicyBook().queue("any", "voice", A_TIME)

    assert policy.target_ratio == 0.8
    assert policy.instant_target_ratio is None
    assert policy.formula == "strict"
    assert (policy.longest_wait_warning_ms, policy.longest_wait_critical_ms) == (120_000, 300_000)
    assert policy.abandonment_limit_ratio == 0.1
    assert policy.volume_floor == 10
    assert policy.hours.is_open_at(A_TIME)
    assert policy.zone is UTC
    assert (policy.name, policy.site, policy.team) == ("any", "", "")
    assert policy.windows == ("15m", "day")
    assert policy.export_formulas == "own"


def test_every_value_can_be_set() -> None:
    queue = {
        "name": "Sales",
        "site": "Berlin",
        "team": "Inbound",
        "threshold": "30s",
        "target": "0.9",
        "short_abandon": "3s",
        "instant_within": "0s",
        "instant_target": "0.5",
        "formula": "genesys",
        "longest_wait_limit": {"warning": "1m", "critical": "2m"},
        "initial_response_limit": "40s",
        "expires_after": "3h",
        "abandonment_limit": "0.05",
        "volume_floor": "20",
        "hours": ["mon-fri 08:00-18:00", "sat 09:00-13:00"],
        "zone": "+10:00",
        "windows": ["5m", "60m"],
        "export_formulas": "all",
    }
    book = a_book(queues={"sales": queue})

    visit = book.visit("sales", "voice", A_TIME)
    assert visit.threshold_ms == 30_000
    assert visit.short_abandon_ms == 3_000
    assert visit.instant_within_ms == 0
    assert visit.initial_response_limit_ms == 40_000
    assert visit.expires_after_ms == 3 * 3_600_000
    policy = book.queue("sales", "voice", A_TIME)
    assert policy.target_ratio == 0.9
    assert policy.instant_target_ratio == 0.5
    assert policy.formula == "genesys"
    assert (policy.longest_wait_warning_ms, policy.longest_wait_critical_ms) == (60_000, 120_000)
    assert policy.abandonment_limit_ratio == 0.05
    assert policy.volume_floor == 20
    assert not policy.hours.is_open_at(MARCH_MS)
    assert policy.zone_name == "+10:00"
    assert (policy.name, policy.site, policy.team) == ("Sales", "Berlin", "Inbound")
    assert policy.windows == ("5m", "60m")
    assert policy.export_formulas == "all"


@pytest.mark.parametrize(("written", "ratio"), [("0", 0.0), ("1", 1.0), (0.8, 0.8), (1, 1.0)])
def test_a_ratio_runs_from_zero_to_one_both_included(written: object, ratio: float) -> None:
    assert a_book(defaults={"target": written}).queue("any", "voice", A_TIME).target_ratio == ratio


def test_a_number_may_stand_for_a_text() -> None:
    assert a_book(queues={"sales": {"name": 7}}).queue("sales", "voice", A_TIME).name == "7"


def test_the_most_specific_value_counts() -> None:
    defaults = {"threshold": "11s"}
    channels = {"voice": {"threshold": "12s"}}
    sales = {"threshold": "13s", "channels": {"voice": {"threshold": "14s"}}}

    assert threshold_ms(a_book(defaults=defaults), "sales") == 11_000
    assert threshold_ms(a_book(defaults=defaults, channels=channels), "sales") == 12_000
    book = a_book(defaults=defaults, channels=channels, queues={"sales": {"threshold": "13s"}})
    assert threshold_ms(book, "sales") == 13_000
    book = a_book(defaults=defaults, channels=channels, queues={"sales": sales})
    assert threshold_ms(book, "sales") == 14_000
    assert threshold_ms(book, "sales", "chat") == 13_000
    assert threshold_ms(book, "support") == 12_000
    assert threshold_ms(book, "support", "chat") == 11_000


def test_a_channel_without_settings_follows_messaging() -> None:
    messaging = {"messaging": {"threshold": "5m"}}

    assert threshold_ms(a_book(channels=messaging), "sales", "sms") == 300_000
    own = messaging | {"sms": {"threshold": "1m"}}
    assert threshold_ms(a_book(channels=own), "sales", "sms") == 60_000
    queue = {"sales": {"threshold": "2m", "channels": {"messaging": {"threshold": "3m"}}}}
    assert threshold_ms(a_book(queues=queue), "sales", "sms") == 180_000


def test_a_dated_value_begins_at_its_instant_and_not_a_millisecond_earlier() -> None:
    book = a_book(defaults={"threshold": ["20s", {"from": MARCH, "value": "30s"}]})

    assert threshold_ms(book, "sales", at_ms=MARCH_MS - 1) == 20_000
    assert threshold_ms(book, "sales", at_ms=MARCH_MS) == 30_000
    assert book.is_dated("sales", "voice")


def test_before_its_first_instant_a_value_is_what_is_set_more_generally() -> None:
    book = a_book(
        channels={"voice": {"threshold": "15s"}},
        queues={"sales": {"threshold": {"from": MARCH, "value": "30s"}}},
    )

    assert threshold_ms(book, "sales", at_ms=MARCH_MS - 1) == 15_000
    assert threshold_ms(book, "sales", at_ms=MARCH_MS) == 30_000
    assert not book.is_dated("support", "voice")


def test_a_queue_that_only_changes_its_target_has_no_dated_visits() -> None:
    book = a_book(queues={"sales": {"target": ["0.8", {"from": MARCH, "value": "0.9"}]}})

    assert not book.is_dated("sales", "voice")
    assert book.queue("sales", "voice", MARCH_MS - 1).target_ratio == 0.8
    assert book.queue("sales", "voice", MARCH_MS).target_ratio == 0.9


def test_a_list_may_be_dated_too() -> None:
    book = a_book(defaults={"windows": [["5m"], {"from": MARCH, "value": ["day"]}]})

    assert book.queue("sales", "voice", MARCH_MS - 1).windows == ("5m",)
    assert book.queue("sales", "voice", MARCH_MS).windows == ("day",)


LAYERS = ("queue and channel", "queue", "channel", "defaults")
ENTRIES = st.dictionaries(
    st.one_of(st.just(NEVER), st.integers(min_value=0, max_value=20)),
    st.integers(min_value=1, max_value=9),
    max_size=3,
)


@given(
    st.fixed_dictionaries(dict.fromkeys(LAYERS, ENTRIES)),
    st.integers(min_value=-1, max_value=21),
)
def test_a_value_is_the_latest_begun_of_the_first_layer_that_has_begun(
    layers: dict[str, dict[int, int]], second: int
) -> None:
    def written(layer: str) -> dict[str, Any]:
        dated: list[object] = []
        for from_s, threshold_s in reversed(layers[layer].items()):
            if from_s == NEVER:
                dated.insert(0, f"{threshold_s}s")
            else:
                time = f"2026-03-01T00:00:{from_s:02}+01:00"
                dated.append({"from": time, "value": f"{threshold_s}s"})
        if dated and isinstance(dated[0], str) and len(dated) == 1:
            return {"threshold": dated[0]}
        return {"threshold": dated} if dated else {}

    book = a_book(
        defaults=written("defaults"),
        channels={"voice": written("channel")},
        queues={"sales": written("queue") | {"channels": {"voice": written("queue and channel")}}},
    )

    expected = 20
    for layer in LAYERS:
        begun = {from_s: value for from_s, value in layers[layer].items() if from_s <= second}
        if begun:
            expected = begun[max(begun)]
            break
    at_ms = MARCH_MS + second * 1000
    assert threshold_ms(book, "sales", at_ms=at_ms) == expected * 1000
    assert threshold_ms(book, "sales", at_ms=at_ms + 999) == expected * 1000


def test_the_longest_wait_follows_the_threshold_over_time() -> None:
    book = a_book(defaults={"threshold": ["10s", {"from": MARCH, "value": "20s"}]})

    before, after = (book.queue("sales", "voice", at) for at in (MARCH_MS - 1, MARCH_MS))
    assert (before.longest_wait_warning_ms, before.longest_wait_critical_ms) == (60_000, 150_000)
    assert (after.longest_wait_warning_ms, after.longest_wait_critical_ms) == (120_000, 300_000)


@pytest.mark.parametrize(
    ("limit", "limits_ms"),
    [
        ({"warning": "1m"}, (60_000, 300_000)),
        ({"warning": "6m"}, (360_000, 360_000)),
        ({"critical": "4m"}, (120_000, 240_000)),
        ({"critical": "1m"}, (60_000, 60_000)),
    ],
)
def test_a_longest_wait_limit_that_is_not_set_never_crosses_the_one_that_is(
    limit: dict[str, str], limits_ms: tuple[int, int]
) -> None:
    policy = a_book(defaults={"longest_wait_limit": limit}).queue("sales", "voice", A_TIME)

    assert (policy.longest_wait_warning_ms, policy.longest_wait_critical_ms) == limits_ms


def test_instant_service_stays_undefined_where_nobody_waits_in_a_line() -> None:
    book = a_book(defaults={"instant_within": "1s", "instant_target": "0.5"})

    assert book.visit("sales", "voice", A_TIME).instant_within_ms == 1_000
    assert book.visit("sales", "email", A_TIME).instant_within_ms is None
    assert book.queue("sales", "voice", A_TIME).instant_target_ratio == 0.5
    assert book.queue("sales", "email", A_TIME).instant_target_ratio is None


def test_old_ids_are_folded_into_the_queue() -> None:
    book = a_book(queues={"sales": {"was": ["sales-old", {"from": MARCH, "value": "telesales"}]}})

    assert book.renamed
    assert book.canonical("sales-old", MARCH_MS - 1) == "sales"
    assert book.canonical("telesales", MARCH_MS - 1) == "telesales"
    assert book.canonical("telesales", MARCH_MS) == "sales"
    assert book.canonical("telesales") == "sales"
    assert book.canonical("support") == "support"
    assert not PolicyBook().renamed


def test_a_queue_keeps_its_policy_until_its_id_means_another_one() -> None:
    book = a_book(
        queues={
            "sales": {"was": [{"from": MARCH, "value": "telesales"}]},
            "telesales": {"threshold": "7s"},
        }
    )

    assert threshold_ms(book, book.canonical("telesales", MARCH_MS - 1)) == 7_000
    assert threshold_ms(book, book.canonical("telesales", MARCH_MS)) == 20_000


def test_the_book_knows_the_channels_that_the_settings_name() -> None:
    book = a_book(
        queues={"sales": {"channels": {"voice": None, "chat": {}}}, "support": {"threshold": "9s"}}
    )

    assert list(book.known()) == [("sales", "voice"), ("sales", "chat")]


def test_every_threshold_that_a_visit_can_have_is_listed_once() -> None:
    book = a_book(
        channels={"chat": {"threshold": "20s"}, "email": {"threshold": "1h"}},
        queues={"sales": {"channels": {"voice": {"threshold": {"from": MARCH, "value": "30s"}}}}},
    )

    assert book.thresholds_ms() == (20_000, 30_000, 900_000, 3_600_000)


def test_every_initial_response_limit_is_listed_once() -> None:
    book = a_book(channels={"chat": {"initial_response_limit": "20s"}})

    assert book.initial_response_limits_ms() == (20_000, 900_000, 86_400_000)


def test_overriding_beats_every_layer_at_all_times() -> None:
    book = a_book(
        defaults={"formula": "genesys"},
        queues={"sales": {"threshold": ["30s", {"from": MARCH, "value": "40s"}]}},
    )

    changed = book.overridden(
        threshold_ms=10_000, short_abandon_ms=0, instant_within_ms=0, formula="strict"
    ).overridden(zone_name="+03:00")

    assert not changed.is_dated("sales", "voice")
    visit = changed.visit("sales", "voice", MARCH_MS)
    assert (visit.threshold_ms, visit.short_abandon_ms, visit.instant_within_ms) == (10_000, 0, 0)
    assert changed.visit("sales", "email", A_TIME).instant_within_ms is None
    assert changed.queue("sales", "voice", A_TIME).formula == "strict"
    assert changed.queue("sales", "voice", A_TIME).zone_name == "+03:00"
    assert threshold_ms(book, "sales", at_ms=MARCH_MS) == 40_000


def test_an_override_that_contradicts_a_setting_is_refused() -> None:
    with pytest.raises(BadSetting, match=r"voice\.expires_after='2h': expected .* threshold, 3h$"):
        PolicyBook().overridden(threshold_ms=3 * 3_600_000)


def test_two_books_are_equal_when_they_give_the_same_answers() -> None:
    assert a_book(channels={"voice": {"threshold": "20s"}}) == PolicyBook()
    assert a_book(channels={"voice": {"threshold": "21s"}}) != PolicyBook()
    assert a_book(queues={"sales": {"was": ["old"]}}) != a_book(queues={"sales": {}})
    assert PolicyBook() != "policy"


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (
            {"default": {}},
            "policy.default: unknown key; did you mean defaults?",
        ),
        (
            {"defaults": {"treshold": "20s"}},
            "policy.defaults.treshold: unknown key; did you mean threshold?",
        ),
        (
            {"defaults": {"short-abandon": "5s"}},
            "policy.defaults.short-abandon: unknown key; did you mean short_abandon?",
        ),
        (
            {"defaults": {"longest_wait_limit": {"Critical": "5m"}}},
            "policy.defaults.longest_wait_limit.Critical: unknown key; did you mean critical?",
        ),
        (
            {"defaults": {"longest_wait_limit": {"x": "5m"}}},
            "policy.defaults.longest_wait_limit.x: unknown key; expected one of warning, critical",
        ),
        (
            {"defaults": ["20s"]},
            "policy.defaults=['20s']: expected a mapping of keys to values",
        ),
        (
            {"queues": {"sales": "20s"}},
            "policy.queues.sales='20s': expected a mapping of keys to values",
        ),
        (
            {"queues": {"": {}}},
            "policy.queues: expected a name as key, not ''",
        ),
        (
            {"queues": {"sales": {"threshold": "0s"}}},
            "policy.queues.sales.threshold='0s': expected a duration longer than 0s",
        ),
        (
            {"queues": {"sales": {"threshold": True}}},
            "policy.queues.sales.threshold=True: "
            "expected a duration such as 0s, 250ms, 20s, 5m, 1h30m or 14d",
        ),
        (
            {"queues": {"sales": {"threshold": 20}}},
            "policy.queues.sales.threshold=20: "
            "expected a duration such as 0s, 250ms, 20s, 5m, 1h30m or 14d; did you mean 20s?",
        ),
        (
            {"defaults": {"target": "80"}},
            "policy.defaults.target='80': expected a ratio from 0 to 1; did you mean 0.8?",
        ),
        (
            {"defaults": {"target": "80%"}},
            "policy.defaults.target='80%': expected a ratio from 0 to 1; did you mean 0.8?",
        ),
        (
            {"defaults": {"target": "101"}},
            "policy.defaults.target='101': expected a ratio from 0 to 1, such as 0.8",
        ),
        (
            {"defaults": {"target": "nan"}},
            "policy.defaults.target='nan': expected a ratio from 0 to 1, such as 0.8",
        ),
        (
            {"defaults": {"instant_target": "high"}},
            "policy.defaults.instant_target='high': "
            "expected a ratio from 0 to 1, such as 0.8, or off",
        ),
        (
            {"defaults": {"formula": "genesis"}},
            "policy.defaults.formula='genesis': "
            "expected one of strict, genesys; did you mean genesys?",
        ),
        (
            {"defaults": {"volume_floor": "-1"}},
            "policy.defaults.volume_floor='-1': expected a whole number from 0 to 1000000",
        ),
        (
            {"defaults": {"windows": "15m"}},
            "policy.defaults.windows='15m': "
            "expected a list of one or more of 5m, 15m, 30m, 60m, day",
        ),
        (
            {"defaults": {"windows": ["15m", "1d"]}},
            "policy.defaults.windows=['15m', '1d']: expected one of 5m, 15m, 30m, 60m, day",
        ),
        (
            {"defaults": {"windows": ["15m", "15m"]}},
            "policy.defaults.windows=['15m', '15m']: expected each of them once",
        ),
        (
            {"defaults": {"hours": "mo-fr 8-18"}},
            "policy.defaults.hours='mo-fr 8-18': expected opening hours such as "
            "'mon-fri 08:00-18:00, sat 09:00-13:00', or always; "
            "a range that ends before it begins runs into the next day",
        ),
        (
            {"defaults": {"zone": "Europe/Belrin"}},
            "policy.defaults.zone='Europe/Belrin': expected an IANA zone such as Europe/Berlin, "
            "or an offset such as +02:00; did you mean Europe/Berlin?",
        ),
        (
            {"queues": {"sales": {"team": "A\nB"}}},
            r"policy.queues.sales.team='A\nB': expected a text of one line",
        ),
        (
            {"channels": {"email": {"instant_within": "5s"}}},
            "policy.channels.email.instant_within: "
            "instant service is defined for voice and chat only",
        ),
        (
            {"queues": {"sales": {"channels": {"sms": {"instant_target": "0.5"}}}}},
            "policy.queues.sales.channels.sms.instant_target: "
            "instant service is defined for voice and chat only",
        ),
        (
            {"defaults": {"zone": ["UTC", {"from": MARCH, "value": "+01:00"}]}},
            f"policy.defaults.zone=['UTC', {{'from': '{MARCH}', 'value': '+01:00'}}]: "
            "expected an IANA zone such as Europe/Berlin, or an offset such as +02:00",
        ),
        (
            {"defaults": {"threshold": ["20s", {"from": "March", "value": "30s"}]}},
            "policy.defaults.threshold[1].from='March': "
            "expected a time with its offset, such as 2026-03-01T00:00:00+01:00",
        ),
        (
            {"defaults": {"threshold": ["20s", {"from": "2026-03-01T00:00:00", "value": "30s"}]}},
            "policy.defaults.threshold[1].from='2026-03-01T00:00:00': "
            "expected a time with its offset, such as 2026-03-01T00:00:00+01:00",
        ),
        (
            {"defaults": {"threshold": {"value": "30s"}}},
            "policy.defaults.threshold[0]: expected {from: TIME, value: VALUE}, but it has no from",
        ),
        (
            {"defaults": {"threshold": {"from": MARCH}}},
            "policy.defaults.threshold[0]: "
            "expected {from: TIME, value: VALUE}, but it has no value",
        ),
        (
            {"defaults": {"threshold": {"from": MARCH, "values": "30s"}}},
            "policy.defaults.threshold[0].values: unknown key; did you mean value?",
        ),
        (
            {"defaults": {"threshold": [{"from": MARCH, "value": "30s"}, "20s"]}},
            "policy.defaults.threshold[1]='20s': "
            "expected {from: TIME, value: VALUE}; only the first one may be plain",
        ),
        (
            {"defaults": {"threshold": [{"from": MARCH, "value": v} for v in ("1s", "2s")]}},
            "policy.defaults.threshold[1].from: expected each instant once",
        ),
        (
            {"defaults": {"threshold": ["20s", {"from": MARCH, "value": "soon"}]}},
            "policy.defaults.threshold[1]='soon': "
            "expected a duration such as 0s, 250ms, 20s, 5m, 1h30m or 14d",
        ),
        (
            {"queues": {"sales": {"was": "old"}}},
            "policy.queues.sales.was='old': expected a list of old queue ids",
        ),
        (
            {"queues": {"sales": {"was": ["old", "old"]}}},
            "policy.queues.sales.was[1]='old': expected each old id once",
        ),
        (
            {"queues": {"sales": {"was": ["sales"]}}},
            "policy.queues.sales.was='sales': "
            "expected an old id, but policy.queues.sales is a queue of its own",
        ),
        (
            {"queues": {"sales": {"was": ["old"]}, "old": {}}},
            "policy.queues.sales.was='old': "
            "expected an old id, but policy.queues.old is a queue of its own",
        ),
        (
            {
                "queues": {
                    "sales": {"was": [{"from": MARCH, "value": "old"}]},
                    "old": {"was": ["older"]},
                }
            },
            "policy.queues.sales.was='old': "
            "expected an old id, but policy.queues.old has old ids of its own",
        ),
        (
            {"queues": {"sales": {"was": ["old"]}, "support": {"was": ["old"]}}},
            "policy.queues.support.was='old': "
            "expected an old id of one queue only, but sales has it",
        ),
        (
            {"defaults": {"threshold": "2h"}},
            "policy.channels.voice.expires_after='2h': expected more than its threshold, 2h",
        ),
        (
            {"channels": {"messaging": {"threshold": "14d"}}},
            "policy.channels.messaging.expires_after='14d': expected more than its threshold, 14d",
        ),
        (
            {"queues": {"sales": {"channels": {"chat": {"initial_response_limit": "1d"}}}}},
            "policy.queues.sales.channels.chat.expires_after='1d': "
            "expected more than its initial_response_limit, 1d",
        ),
        (
            {"queues": {"sales": {"expires_after": ["20d", {"from": MARCH, "value": "1h"}]}}},
            "policy.queues.sales.channels.email.expires_after='1h': "
            "expected more than its threshold, 1d",
        ),
        (
            {"queues": {"sales": {"longest_wait_limit": {"warning": "3m", "critical": "2m"}}}},
            "policy.queues.sales.channels.messaging.longest_wait_limit.warning='3m': "
            "expected at most the critical limit, 2m",
        ),
    ],
)
def test_a_wrong_policy_is_refused_with_the_key_the_value_and_what_would_be_right(
    parts: dict[str, Any], line: str
) -> None:
    assert wrong(**parts) == line


def test_a_long_value_is_cut_and_credentials_and_secrets_are_masked() -> None:
    assert str(BadSetting("key", "expected less", value="x" * 500)) == (
        f"key='{'x' * 79}...: expected less"
    )
    assert (
        str(BadSetting("url", "no", value="sasl://user:pa55@kafka")) == "url='sasl://***@kafka': no"
    )
    assert str(BadSetting("kafka.password", "no", value="pa55")) == "kafka.password='***': no"
