import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from streams.core.policy import BadSetting, PolicyBook
from streams.core.policy_reading import LIMIT, READERS, SEVERITIES
from streams.settings import KEYS, TOPICS, Settings, Topics, load_settings

EXAMPLE = Path(__file__).parents[2] / "deploy" / "floorwatch.example.yaml"

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a settings file."""

    def write_file(content: str | bytes) -> Path:
        path = tmp_path / "floorwatch.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def wrong(path: Path | None, environ: Mapping[str, str] | None = None) -> str:
    """What the operator reads, without the folder of the file."""
    with pytest.raises(BadSetting) as stopped:
        load_settings(path, environ or {})
    line = str(stopped.value)
    assert "\n" not in line
    return line.replace(f"{path.parent}/", "") if path else line


def with_every_setting_in_use(example: str) -> str:
    """*example* with the settings uncommented that have no default."""
    return re.sub(r"(?m)^( *)#(?=[^ #\n])", r"\1", example)


def keys_of(plain: object) -> Iterator[str]:
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield key
            yield from keys_of(value)


def test_without_file_and_environment_everything_has_its_default() -> None:
    assert load_settings(None, {}) == Settings()


def test_the_example_file_says_exactly_what_holds_without_it() -> None:
    assert load_settings(EXAMPLE, {}) == Settings()


def test_the_example_file_still_holds_with_every_setting_uncommented(write: Write) -> None:
    # Most of what stands below `kafka` has an effect in this way only.
    variables = {"FLOORWATCH_KAFKA__SECURITY_PROTOCOL": "sasl_ssl"}
    settings = load_settings(write(with_every_setting_in_use(EXAMPLE.read_text())), variables)

    assert settings.source_intervals_ms == {"pbx-berlin": 30_000}
    assert settings.policy.known() == (("sales", "voice"), ("sales", "chat"))
    assert settings.policy.canonical("sales-old") == "sales"
    assert settings.policy.queue("sales", "voice", 0).name == "Sales"


def test_the_example_file_shows_every_key() -> None:
    tree = yaml.safe_load(with_every_setting_in_use(EXAMPLE.read_text()))

    layer = {*READERS, LIMIT, *SEVERITIES, "formula"}
    expected = {*KEYS, *TOPICS, "interval", "defaults", "channels", "queues", "name", "was", *layer}
    assert expected <= set(keys_of(tree))
    assert {*KEYS} == set(tree)
    assert layer <= set(keys_of(tree["policy"]))


def test_every_key_in_the_example_file_has_a_comment_where_it_stands_first() -> None:
    explained: set[str] = set()
    above = ""
    for line in EXAMPLE.read_text().splitlines():
        key = re.match(r" *#?([a-z_]+):", line)
        if key and key[1] not in explained:
            is_name = key[1] in {"voice", "chat", "messaging", "email", "sales"}
            follows_group = key[1] in {"team"}
            assert is_name or follows_group or above.lstrip().startswith("# "), line
            explained.add(key[1])
        above = line


def test_every_plain_setting_can_be_set_in_the_file(write: Write) -> None:
    settings = load_settings(
        write(
            """
            name: north
            bootstrap: "kafka-0:9092, [::1]:9093"
            topics: {calls: voice, chats: off, queues: ~}
            clock: event
            host: "::"
            port: 0
            instance_id: worker-0
            session_timeout: 30s
            snapshot_every: 2s
            allowed_lateness: 1h
            rest: 2h
            tick: 1s
            max_events_per_contact: 64
            max_record_bytes: 4096
            max_contacts: 1000
            max_queues: 10
            metric_windows: [5m]
            sources:
              pbx: {interval: 1m}
            policy:
              defaults: {threshold: 10s}
            """
        ),
        {},
    )

    assert settings == Settings(
        name="north",
        bootstrap="kafka-0:9092,[::1]:9093",
        topics=Topics(calls="voice", chats=None, queues=None),
        clock="event",
        host="::",
        port=0,
        instance_id="worker-0",
        session_timeout_ms=30_000,
        snapshot_every_ms=2_000,
        allowed_lateness_ms=3_600_000,
        rest_ms=7_200_000,
        tick_ms=1_000,
        max_events_per_contact=64,
        max_record_bytes=4_096,
        max_contacts=1_000,
        max_queues=10,
        metric_windows=("5m",),
        source_intervals_ms={"pbx": 60_000},
        policy=PolicyBook().overridden(threshold_ms=10_000),
    )
    assert settings.topics.in_use() == ("voice",)


def test_values_are_what_is_written_and_not_what_yaml_makes_of_them(write: Write) -> None:
    path = write("policy: {queues: {no: {name: 007, zone: +10:00, site: 2026-03-01, was: [1e3]}}}")

    policy = load_settings(path, {}).policy

    queue = policy.queue("no", "voice", 0)
    assert (queue.name, queue.zone_name, queue.site) == ("007", "+10:00", "2026-03-01")
    assert policy.canonical("1e3") == "no"


def test_queues_may_share_settings_by_anchor_and_merge_key(write: Write) -> None:
    path = write(
        """
        policy:
          queues:
            sales: &common {threshold: 30s, target: 0.9}
            support: {<<: *common, threshold: 40s}
        """
    )

    policy = load_settings(path, {}).policy

    assert policy.visit("support", "voice", 0).threshold_ms == 40_000
    assert policy.queue("support", "voice", 0).target_ratio == 0.9


def test_empty_parts_and_an_empty_file_change_nothing(write: Write) -> None:
    assert load_settings(write(""), {}) == Settings()
    assert load_settings(write("topics:\nsources:\npolicy:\n  queues:\n"), {}) == Settings()


def test_the_environment_can_name_the_file(write: Write) -> None:
    path = write("port: 1234")

    assert load_settings(None, {"FLOORWATCH_SETTINGS": str(path)}).port == 1234
    assert load_settings(path, {"FLOORWATCH_SETTINGS": "/nowhere"}).port == 1234


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("FLOORWATCH_PORT", "1234", Settings(port=1234)),
        ("FLOORWATCH_port", "1234", Settings(port=1234)),
        ("FLOORWATCH_PORT", "65535", Settings(port=65_535)),
        ("FLOORWATCH_PORT", "", Settings()),
        ("FLOORWATCH_ALERTMANAGER", "http://am:9093", Settings(alertmanager="http://am:9093")),
        ("FLOORWATCH_ALERTMANAGER", "off", Settings()),
        ("FLOORWATCH_BOOTSTRAP", "kafka:9092", Settings(bootstrap="kafka:9092")),
        ("FLOORWATCH_TOPICS__CHATS", "off", Settings(topics=Topics(chats=None))),
        ("FLOORWATCH_TOPICS", "{chats: off}", Settings(topics=Topics(chats=None))),
        ("FLOORWATCH_METRIC_WINDOWS", "[5m, day]", Settings(metric_windows=("5m", "day"))),
        ("FLOORWATCH_SOURCES__pbx__INTERVAL", "5s", Settings(source_intervals_ms={"pbx": 5_000})),
        (
            "FLOORWATCH_POLICY__DEFAULTS__THRESHOLD",
            "7s",
            Settings(policy=PolicyBook().overridden(threshold_ms=7_000)),
        ),
    ],
)
def test_the_environment_overrides_every_key(variable: str, value: str, expected: Settings) -> None:
    assert load_settings(None, {variable: value}) == expected


def test_the_environment_overrides_the_file_and_leaves_the_rest_of_it(write: Write) -> None:
    path = write("topics: {calls: voice, chats: text}\nport: 1234")

    settings = load_settings(path, {"FLOORWATCH_TOPICS__CHATS": "off", "FLOORWATCH_PORT": "5678"})

    assert settings.topics == Topics(calls="voice", chats=None)
    assert settings.port == 5678


def test_the_deeper_variable_counts_more(write: Write) -> None:
    environ = {"FLOORWATCH_TOPICS__CALLS": "deep", "FLOORWATCH_TOPICS": "{calls: flat, chats: off}"}

    assert load_settings(None, environ).topics == Topics(calls="deep", chats=None)


@pytest.mark.parametrize(
    ("queues", "step", "overridden"),
    [
        ("sales: {}", "sales", "sales"),
        ("sales: {}", "SALES", "sales"),
        ("sales: {}\n    SALES: {}", "SALES", "SALES"),
        ("sales: {}\n    Sales: {}", "SALES", "SALES"),
        ("support: {}", "Sales", "Sales"),
    ],
)
def test_a_name_in_a_variable_is_itself_or_the_only_one_that_differs_by_case(
    write: Write, queues: str, step: str, overridden: str
) -> None:
    path = write(f"policy:\n  queues:\n    {queues}")

    policy = load_settings(path, {f"FLOORWATCH_POLICY__QUEUES__{step}__THRESHOLD": "7s"}).policy

    assert policy.visit(overridden, "voice", 0).threshold_ms == 7_000


@pytest.mark.parametrize(
    "step", ["CHANNELS__VOICE", "QUEUES__sales__CHANNELS__VOICE", "channels__Voice"]
)
def test_a_channel_in_a_variable_may_be_in_any_case(step: str) -> None:
    policy = load_settings(None, {f"FLOORWATCH_POLICY__{step}__THRESHOLD": "7s"}).policy

    assert policy.visit("sales", "voice", 0).threshold_ms == 7_000
    assert policy.visit("sales", "chat", 0).threshold_ms == 120_000


def test_variables_that_kubernetes_makes_for_a_service_are_left_alone() -> None:
    made = {
        "FLOORWATCH_SERVICE_HOST": "10.0.0.1",
        "FLOORWATCH_SERVICE_PORT": "6066",
        "FLOORWATCH_SERVICE_PORT_HTTP": "6066",
        "FLOORWATCH_PORT": "tcp://10.0.0.1:6066",
        "FLOORWATCH_PORT_6066_TCP": "tcp://10.0.0.1:6066",
        "FLOORWATCH_PORT_6066_TCP_ADDR": "10.0.0.1",
        "FLOORWATCH_WALL_SERVICE_HOST": "10.0.0.2",
        "FLOORWATCH_WALL_PORT": "tcp://10.0.0.2:80",
        "PORT": "80",
    }

    assert load_settings(None, made) == Settings()


def test_the_command_line_overrides_the_environment_and_the_file(write: Write) -> None:
    path = write("bootstrap: file:1\ntopics: {calls: voice, queues: off}")
    environ = {"FLOORWATCH_BOOTSTRAP": "environment:2"}

    settings = load_settings(path, environ, {"bootstrap": "option:3", "topics.calls": "spoken"})

    assert settings.bootstrap == "option:3"
    assert settings.topics == Topics(calls="spoken", queues=None)


def test_a_wrong_option_is_named_as_it_was_given(write: Write) -> None:
    with pytest.raises(BadSetting, match=r"^--session-timeout: session_timeout='1s': expected"):
        load_settings(write("port: 1"), {"FLOORWATCH_PORT": "2"}, {"session_timeout": "1s"})


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("bootstap: x:1", "1: bootstap: unknown key; did you mean bootstrap?"),
        ("\ntopics:\n  cals: x", "3: topics.cals: unknown key; did you mean calls?"),
        ("sources: {pbx: {}}", "1: sources.pbx: expected an interval, such as {interval: 30s}"),
        (
            "sources: {pbx: {interval: 0s}}",
            "1: sources.pbx.interval='0s': expected a duration longer than 0s",
        ),
        (
            "sources: {pbx: {intervall: 1s}}",
            "1: sources.pbx.intervall: unknown key; did you mean interval?",
        ),
        (
            "alertmanager: am:9093",
            "1: alertmanager='am:9093': expected off, or an address without a password",
        ),
        (
            "alertmanager: http://me:secret@am:9093",
            "1: alertmanager='http://***@am:9093': expected off, or an address without a password",
        ),
        ("sources: pbx", "1: sources='pbx': expected a mapping of keys to values"),
        (
            "name: Floor Watch",
            "1: name='Floor Watch': "
            "expected up to 30 lower-case letters, digits and _ -, such as floorwatch",
        ),
        (
            "bootstrap: kafka",
            "1: bootstrap='kafka': expected HOST:PORT, several of them separated by commas",
        ),
        (
            "bootstrap: kafka:0",
            "1: bootstrap='kafka:0': expected HOST:PORT, several of them separated by commas",
        ),
        (
            "bootstrap: kafka:1,kafka:65536",
            "1: bootstrap='kafka:1,kafka:65536': "
            "expected HOST:PORT, several of them separated by commas",
        ),
        (
            "bootstrap: [a:1, b:2]",
            "1: bootstrap=['a:1', 'b:2']: expected HOST:PORT, several of them separated by commas",
        ),
        (
            "topics: {calls: my calls}",
            "1: topics.calls='my calls': "
            "expected a topic name of letters, digits and . _ -, or off",
        ),
        (
            "topics: {calls: off, chats: off, queues: off}",
            "1: topics: expected at least one topic that is not off",
        ),
        (
            "topics: {calls: a, chats: a}",
            "1: topics='a, a, queues': expected a topic of its own for each",
        ),
        ("clock: wal", "1: clock='wal': expected one of wall, event; did you mean wall?"),
        ("host: a b", "1: host='a b': expected an address to listen on, such as 127.0.0.1"),
        ("port: 65536", "1: port='65536': expected a whole number from 0 to 65535"),
        ("port: six", "1: port='six': expected a whole number from 0 to 65535"),
        ("port:", "1: port='': expected a whole number from 0 to 65535"),
        ("instance_id: a/b", "1: instance_id='a/b': expected letters, digits and . _ -, or off"),
        (
            "session_timeout: 5999ms",
            "1: session_timeout='5999ms': "
            "expected a duration from 6s to 30m, which is what brokers allow",
        ),
        (
            "allowed_lateness: 4",
            "1: allowed_lateness='4': "
            "expected a duration such as 0s, 250ms, 20s, 5m, 1h30m or 14d; did you mean 4s?",
        ),
        (
            "tick: 7s",
            "1: tick='7s': expected 1s or more, and a whole number of times in 5m, such as 5s",
        ),
        (
            "tick: 500ms",
            "1: tick='500ms': expected 1s or more, and a whole number of times in 5m, such as 5s",
        ),
        (
            "max_record_bytes: 256KiB",
            "1: max_record_bytes='256KiB': expected a whole number from 1024 to 67108864",
        ),
        (
            "metric_windows: [10m]",
            "1: metric_windows=['10m']: expected one of 5m, 15m, 30m, 60m, day; did you mean 60m?",
        ),
        (
            "policy:\n  queues:\n    sales.de:\n      target: 2\n      threshold: x",
            "4: policy.queues.sales.de.target='2': "
            "expected a ratio from 0 to 1; did you mean 0.02?",
        ),
        (
            "policy:\n  queues:\n    s: {}\n    sales:\n      threshold:\n      - 1s\n      - 2s",
            "5: policy.queues.sales.threshold=['1s', '2s']: "
            "expected a duration such as 0s, 250ms, 20s, 5m, 1h30m or 14d",
        ),
        (
            "policy:\n  queues:\n    sales:\n      expires_after: 1h",
            "3: policy.queues.sales.channels.email.expires_after='1h': "
            "expected more than its threshold, 1d",
        ),
        (
            "policy: {defaults: {formula: nice}}",
            "1: policy.defaults.formula='nice': expected one of strict, of_offered,",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_its_line_its_value_and_what_would_be_right(
    write: Write, content: str, line: str
) -> None:
    assert wrong(write(content)).startswith(f"floorwatch.yaml:{line}")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("a: [1", "1:6: this is not YAML: expected ',' or ']', but got '<stream end>'"),
        ("port: 1\nport: 2", "2:1: this is not YAML: the key port stands here for the second time"),
        ("port: 1\n\thost: x", "2:1: this is not YAML: found character '\\t' that cannot"),
        ("host: *x", "1:7: this is not YAML: found undefined alias 'x'"),
        ("host: !!python/name:os.system x", "1:7: this is not YAML: could not determine"),
        (b"host: \xff", " this is not YAML in UTF-8"),
        ("[" * 5_000, " this is not YAML in UTF-8"),
    ],
)
def test_a_broken_file_is_named_with_the_place_where_it_breaks(
    write: Write, content: str | bytes, line: str
) -> None:
    assert wrong(write(content)).startswith(f"floorwatch.yaml:{line}")


def test_a_file_that_is_no_mapping_is_refused(write: Write) -> None:
    assert wrong(write("- a")) == "floorwatch.yaml=['a']: expected a mapping of keys to values"


def test_a_mapping_that_contains_itself_is_refused(write: Write) -> None:
    assert wrong(write("policy: &p {queues: {sales: *p}}")).startswith(
        "floorwatch.yaml:1: policy.queues.sales.queues: unknown key"
    )


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    assert wrong(tmp_path / "none.yaml") == (
        "none.yaml: cannot read the settings: No such file or directory"
    )
    assert wrong(tmp_path).endswith(": cannot read the settings: Is a directory")


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"FLOORWATCH_BOOTSTAP": "x:1"},
            "FLOORWATCH_BOOTSTAP: bootstap: unknown key; did you mean bootstrap?",
        ),
        (
            {"FLOORWATCH_TOPICS_CALLS": "x"},
            "FLOORWATCH_TOPICS_CALLS: topics_calls: unknown key; did you mean topics?",
        ),
        (
            {"FLOORWATCH_TOPICS__CALS": "x"},
            "FLOORWATCH_TOPICS__CALS: topics.cals: unknown key; did you mean calls?",
        ),
        (
            {"FLOORWATCH_PORT": "x"},
            "FLOORWATCH_PORT: port='x': expected a whole number from 0 to 65535",
        ),
        (
            {"FLOORWATCH_TOPICS__CALLS__X": "y"},
            "FLOORWATCH_TOPICS__CALLS__X: topics.calls={'x': 'y'}: "
            "expected a topic name of letters, digits and . _ -, or off",
        ),
        (
            {"FLOORWATCH_TOPICS": "{calls: a b}"},
            "FLOORWATCH_TOPICS: topics.calls='a b': "
            "expected a topic name of letters, digits and . _ -, or off",
        ),
        (
            {"FLOORWATCH_POLICY__QUEUES__sales__THRESHOLD": "[1s, {from: x, value: 2s}]"},
            "FLOORWATCH_POLICY__QUEUES__sales__THRESHOLD: "
            "policy.queues.sales.threshold[1].from='x': "
            "expected a time with its offset, such as 2026-03-01T00:00:00+01:00",
        ),
        (
            {"FLOORWATCH_NAME": "[a"},
            "FLOORWATCH_NAME:1:3: this is not YAML: expected ',' or ']', but got '<stream end>'",
        ),
        (
            {"FLOORWATCH_BOOTSTRAP": "user:pa55@kafka"},
            "FLOORWATCH_BOOTSTRAP: bootstrap='***@kafka': "
            "expected HOST:PORT, several of them separated by commas",
        ),
    ],
)
def test_a_wrong_variable_is_named_with_its_value_and_what_would_be_right(
    environ: dict[str, str], line: str
) -> None:
    assert wrong(None, environ) == line


def test_a_wrong_variable_is_told_from_a_wrong_file(write: Write) -> None:
    path = write("host: 127.0.0.1\nport: x")

    assert wrong(path, {"FLOORWATCH_HOST": "::1"}).startswith("floorwatch.yaml:2: port='x'")
    assert wrong(path, {"FLOORWATCH_PORT": "y"}).startswith("FLOORWATCH_PORT: port='y'")


# -- a policy in a file of its own -----------------------------------------------------------------


def test_the_policy_may_stand_in_a_file_of_its_own(write: Write, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("queues: {sales: {target: 0.9}}")

    settings = load_settings(write(f"policy_file: {policy}"), {})

    assert settings.policy_file == policy
    assert settings.policy.queue("sales", "voice", 0).target_ratio == 0.9


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("queues:\n  sales: {target: 90}", "{path}:2: policy.queues.sales.target='90': expected"),
        ("queues: [", "{path}:1:10: this is not YAML"),
        ("", "{path}: expected what stands under policy, {{}} for nothing"),
        ("sales", "{path}: expected what stands under policy, {{}} for nothing"),
        (None, ": cannot read it: No such file or directory"),
    ],
)
def test_what_is_wrong_with_that_file_is_said_in_one_line(
    write: Write, tmp_path: Path, written: str | None, line: str
) -> None:
    policy = tmp_path / "policy.yaml"
    if written is not None:
        policy.write_text(written)

    with pytest.raises(BadSetting) as wrong:
        load_settings(write(f"policy_file: {policy}"), {})

    assert line.format(path=policy) in str(wrong.value)
    assert "policy" in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_the_policy_stands_in_one_place(write: Write, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("{}")

    with pytest.raises(BadSetting, match="expected this or policy, not both"):
        load_settings(write(f"policy_file: {policy}\npolicy: {{}}"), {})
