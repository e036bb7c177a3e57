"""The settings: one YAML file, the environment over it, the command line over both.

This is the only module that reads the file or the environment. A setting is overridden by a
variable named after its path, with two underscores for each step down:
`FLOORWATCH_TOPICS__CALLS=calls-v2`, `FLOORWATCH_POLICY__QUEUES__sales__THRESHOLD=30s`. Keys are
written in any case. A name (of a queue, a channel, a source) is written as it is; in another case
it means the one name in the file that differs from it by nothing else. The value is YAML
(`FLOORWATCH_METRIC_WINDOWS='[15m, day]'`); an empty variable counts as not set.
"""

import copy
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from streams.core.formulas import FORMULA_IDS
from streams.core.policy import CHANNELS, WINDOWS, BadSetting, PolicyBook
from streams.core.policy_reading import read_policy
from streams.core.readers import (
    Reader,
    duration,
    mapping,
    matching,
    named,
    one_of,
    optional,
    positive_duration,
    read_value,
    several_of,
    text,
    whole,
)
from streams.http_settings import HttpSettings, read_http
from streams.kafka_settings import KafkaSettings, read_kafka
from streams.settings_file import SettingsFile, position_in, read_yaml

PREFIX: Final = "FLOORWATCH_"
STEP: Final = "__"
SETTINGS_FILE: Final = "FLOORWATCH_SETTINGS"
"""Names the settings file; the one variable with the prefix that is no setting itself."""

_TICKS_DIVIDE_MS: Final = 5 * 60_000
_SHORTEST_SESSION_MS: Final = 6_000
_LONGEST_SESSION_MS: Final = 30 * 60_000

_LAST_PORT: Final = 65_535
_SHORTEST_KEY: Final = 16
_BROKER: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})", re.ASCII)

_SERVICE_LINK: Final = re.compile(
    r"FLOORWATCH_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)", re.ASCII
)
_SERVICE_LINK_PORT: Final = re.compile(r"FLOORWATCH_(\w+_)?PORT", re.ASCII)
_SERVICE_LINK_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://.*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """Where the canonical events are; None is a topic that is switched off."""

    calls: str | None = "calls"
    chats: str | None = "chats"
    queues: str | None = "queues"

    def in_use(self) -> tuple[str, ...]:
        """The names of those that are not switched off."""
        return tuple(topic for topic in (self.calls, self.chats, self.queues) if topic is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked; what each one means stands in `deploy/floorwatch.example.yaml`.

    Attributes:
        name: the installation, a prefix of consumer group, internal topics and dashboard ids.
        bootstrap: `HOST:PORT` of one or more brokers, comma-separated.
        kafka: how the connection to them is secured.
        instance_id: the worker's static membership in its group; None for none.
        port: 0 takes a free one.
        alertmanager: address of an Alertmanager whose alerts the wall shows; None for none.
        tick_ms: divides five minutes, so that every window is a whole number of ticks.
        max_contacts: contacts of one partition remembered at a time.
        max_queues: beyond so many queues, series carry an overflow label.
        metric_windows: the windows of `/metrics`, out of `WINDOWS`.
        source_intervals_ms: source to the interval at which it is expected to be heard.
        policy_file: where `policy` stands; None where it stands in the settings.
        identity_key: of the pseudonyms under which agents are kept; empty for one of the name.
    """

    name: str = "floorwatch"
    bootstrap: str = "localhost:9092"
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    topics: Topics = field(default_factory=Topics)
    clock: Literal["wall", "event"] = "wall"
    host: str = "127.0.0.1"
    port: int = 6066
    alertmanager: str | None = None
    instance_id: str | None = None
    session_timeout_ms: int = 20_000
    snapshot_every_ms: int = 5_000
    allowed_lateness_ms: int = 4 * 3_600_000
    rest_ms: int = 4 * 3_600_000
    tick_ms: int = 5_000
    max_events_per_contact: int = 512
    max_record_bytes: int = 256 * 1024
    max_contacts: int = 1_000_000
    max_queues: int = 2_000
    metric_windows: tuple[str, ...] = ("15m", "60m", "day")
    source_intervals_ms: Mapping[str, int] = field(default_factory=dict)
    policy: PolicyBook = field(default_factory=PolicyBook)
    http: HttpSettings = field(default_factory=HttpSettings)
    policy_file: Path | None = None
    identity_key: bytes = field(default=b"", repr=False)


def _tick(plain: object) -> int:
    tick_ms = duration(plain)
    if tick_ms < 1_000 or _TICKS_DIVIDE_MS % tick_ms:
        raise ValueError("expected 1s or more, and a whole number of times in 5m, such as 5s")
    return tick_ms


def _snapshot_every(plain: object) -> int:
    every_ms = duration(plain)
    if every_ms < 1_000:
        raise ValueError("expected 1s or more")
    return every_ms


def _session_timeout(plain: object) -> int:
    timeout_ms = duration(plain)
    if not _SHORTEST_SESSION_MS <= timeout_ms <= _LONGEST_SESSION_MS:
        raise ValueError("expected a duration from 6s to 30m, which is what brokers allow")
    return timeout_ms


def _bootstrap(plain: object) -> str:
    brokers = [each.strip() for each in plain.split(",")] if isinstance(plain, str) else [""]
    ports = [broker[1] if (broker := _BROKER.fullmatch(each)) else "0" for each in brokers]
    if not all(0 < int(port) <= _LAST_PORT for port in ports):
        raise ValueError("expected HOST:PORT, several of them separated by commas")
    return ",".join(brokers)


_topic: Final = optional(
    matching(r"(?!\.\.?$)[A-Za-z0-9._-]{1,249}", "a topic name of letters, digits and . _ -")
)


def _path(plain: object) -> Path | None:
    written = optional(text)(plain)
    return None if written is None else Path(written)


READERS: Final[Mapping[str, tuple[str, Reader]]] = {
    "name": (
        "name",
        matching(
            r"[a-z0-9][a-z0-9_-]{0,29}",
            "up to 30 lower-case letters, digits and _ -, such as floorwatch",
        ),
    ),
    "bootstrap": ("bootstrap", _bootstrap),
    "clock": ("clock", one_of(("wall", "event"))),
    "host": ("host", matching(r"[A-Za-z0-9.:_-]+", "an address to listen on, such as 127.0.0.1")),
    "port": ("port", whole(0, _LAST_PORT)),
    "alertmanager": (
        "alertmanager",
        optional(
            matching(
                r"https?://[^\s/@?#]+(/[^\s?#]*)?(\?[^\s#]*)?",
                "off, or an address without a password, such as http://127.0.0.1:9093",
            )
        ),
    ),
    "instance_id": (
        "instance_id",
        optional(matching(r"[A-Za-z0-9._-]{1,249}", "letters, digits and . _ -")),
    ),
    "session_timeout": ("session_timeout_ms", _session_timeout),
    "snapshot_every": ("snapshot_every_ms", _snapshot_every),
    "allowed_lateness": ("allowed_lateness_ms", duration),
    "rest": ("rest_ms", duration),
    "tick": ("tick_ms", _tick),
    "max_events_per_contact": ("max_events_per_contact", whole(16, 100_000)),
    "max_record_bytes": ("max_record_bytes", whole(1_024, 64 * 1024 * 1024)),
    "max_contacts": ("max_contacts", whole(1, 100_000_000)),
    "max_queues": ("max_queues", whole(1, 100_000)),
    "metric_windows": ("metric_windows", several_of(WINDOWS)),
}
"""Each key that has one value: the field that it fills and how it is read."""

TOPICS: Final = ("calls", "chats", "queues")
POLICY: Final = "policy"
POLICY_FILE: Final = "policy_file"
IDENTITY_KEY_FILE: Final = "identity_key_file"
KEYS: Final = (
    *READERS,
    "kafka",
    "topics",
    "sources",
    "http",
    IDENTITY_KEY_FILE,
    POLICY,
    POLICY_FILE,
)


def load_settings(
    path: Path | None,
    environ: Mapping[str, str],
    options: Mapping[str, str] | None = None,
    *,
    only: Collection[str] | None = None,
) -> Settings:
    """The settings of the file at *path*, overridden by *environ*, and that by *options*.

    Args:
        path: the YAML file; None for the one that `FLOORWATCH_SETTINGS` names, or none at all.
        environ: the environment; every variable that begins with `FLOORWATCH_` must be a setting.
            Those that Kubernetes makes for a Service called floorwatch are left alone.
        options: what the command line says, by key (`bootstrap`, `topics.calls`).
        only: the keys that are wanted; whatever is wrong with others is not looked at, and they
            are as without any setting. None for all.

    Raises:
        BadSetting: in one line, where the value came from, the key, the value and what would be
            right.
    """
    if path is None and environ.get(SETTINGS_FILE):
        path = Path(environ[SETTINGS_FILE])
    file = None if path is None else SettingsFile(path)
    tree = copy.deepcopy(file.tree) if file else {}
    origins: dict[str, str] = {}
    for variable in sorted(environ, key=lambda name: (name.count(STEP), name)):
        if _is_setting(variable, environ[variable]):
            keys = _keys(variable, tree)
            _put(tree, keys, read_yaml(environ[variable], variable))
            origins[".".join(keys)] = variable
    for key, written in (options or {}).items():
        _put(tree, key.split("."), written)
        origins[key] = "--" + key.replace(".", "-").replace("_", "-")
    if only is not None:
        tree = {key: tree[key] for key in only if key in tree}
    try:
        return _settings(tree)
    except BadSetting as wrong:
        origin = _origin(wrong.key, origins) or (file.position(wrong.key) if file else "")
        wrong.where = wrong.where or origin
        raise


def _settings(tree: Mapping[str, object]) -> Settings:
    """*tree* with every value checked."""
    parts = mapping(tree, "", KEYS)
    values = {
        name: read_value(parts[key], key, reader)
        for key, (name, reader) in READERS.items()
        if key in parts
    }
    policy_file = read_value(parts.get(POLICY_FILE, "off"), POLICY_FILE, _path)
    if policy_file is not None and POLICY in parts:
        raise BadSetting(POLICY_FILE, "expected this or policy, not both", value=str(policy_file))
    return Settings(
        **values,
        kafka=read_kafka(parts.get("kafka")),
        topics=_topics(parts.get("topics")),
        source_intervals_ms=_source_intervals(parts.get("sources")),
        http=read_http(parts.get("http")),
        policy=read_policy(parts.get(POLICY), formulas=FORMULA_IDS)
        if policy_file is None
        else _policy_in(policy_file),
        policy_file=policy_file,
        identity_key=_identity_key(parts.get(IDENTITY_KEY_FILE, "off")),
    )


def _identity_key(plain: object) -> bytes:
    path: Path | None = read_value(plain, IDENTITY_KEY_FILE, _path)
    if path is None:
        return b""
    try:
        key = path.read_bytes().strip()
    except OSError as unreadable:  # not its name: somebody may have written the key itself there
        reason = unreadable.strerror or "unreadable"
        problem = f"cannot read the file that it names: {reason}"
        raise BadSetting(IDENTITY_KEY_FILE, problem) from None
    if len(key) < _SHORTEST_KEY:
        problem = f"expected a file with a key of {_SHORTEST_KEY} bytes or more"
        raise BadSetting(IDENTITY_KEY_FILE, problem, value=str(path))
    return key


def _policy_in(path: Path) -> PolicyBook:
    """The policy in the file at *path*.

    Raises:
        BadSetting: as of `policy_of`; when it cannot be read.
    """
    return policy_of(_content(path, POLICY_FILE), path)


def _content(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as unreadable:
        reason = unreadable.strerror or "unreadable"
        raise BadSetting(key, f"cannot read it: {reason}", value=str(path)) from None


def policy_of(written: bytes, path: Path) -> PolicyBook:
    """The policy that is *written* in the file at *path*, as it would stand under `policy`.

    Raises:
        BadSetting: when it is empty, which may mean that it is being written; when it is not YAML;
            when a key is unknown, a value is wrong, or two values contradict each other.
    """
    plain = read_yaml(written, str(path))
    if not isinstance(plain, Mapping):
        raise BadSetting(str(path), "expected what stands under policy, {} for nothing")
    try:
        return read_policy(plain, formulas=FORMULA_IDS)
    except BadSetting as wrong:
        wrong.where = position_in(written, path, wrong.key.removeprefix(f"{POLICY}."))
        raise


def _topics(plain: object) -> Topics:
    parts = mapping(plain, "topics", TOPICS)
    topics = Topics(
        **{key: read_value(value, f"topics.{key}", _topic) for key, value in parts.items()}
    )
    in_use = topics.in_use()
    if not in_use:
        raise BadSetting("topics", "expected at least one topic that is not off")
    if len(set(in_use)) < len(in_use):
        raise BadSetting("topics", "expected a topic of its own for each", value=", ".join(in_use))
    return topics


def _source_intervals(plain: object) -> dict[str, int]:
    intervals = {}
    for source, settings in named(plain, "sources").items():
        path = f"sources.{source}"
        parts = mapping(settings, path, ("interval",))
        if "interval" not in parts:
            raise BadSetting(path, "expected an interval, such as {interval: 30s}")
        intervals[source] = read_value(parts["interval"], f"{path}.interval", positive_duration)
    return intervals


def _is_setting(variable: str, written: str) -> bool:
    if not variable.startswith(PREFIX) or variable == SETTINGS_FILE or not written:
        return False
    if _SERVICE_LINK.fullmatch(variable):
        return False
    return not (_SERVICE_LINK_PORT.fullmatch(variable) and _SERVICE_LINK_ADDRESS.fullmatch(written))


def _keys(variable: str, tree: Mapping[str, object]) -> list[str]:
    """The path that *variable* stands for."""
    keys: list[str] = []
    node: object = tree
    for step in variable.removeprefix(PREFIX).split(STEP):
        present = node if isinstance(node, Mapping) else {}
        key = _name(step, keys, present) if _takes_names(keys) else step.lower()
        keys.append(key)
        node = present.get(key)
    return keys


def _takes_names(path: list[str]) -> bool:
    """Whether what stands below *path* is called by names instead of keys."""
    match path:
        case ["sources"] | ["policy", "queues" | "channels"] | ["policy", "queues", _, "channels"]:
            return True
    return False


def _name(step: str, path: list[str], present: Mapping[str, object]) -> str:
    """The name that *step* means: itself, or the only one that differs from it by case alone."""
    names = {*present, *(CHANNELS if path[-1] == "channels" else ())}
    if step in names:
        return step
    alike = [name for name in names if name.lower() == step.lower()]
    return alike[0] if len(alike) == 1 else step


def _put(tree: dict[str, object], keys: list[str], value: object) -> None:
    """Set *value* at the path *keys*, making the mappings on the way."""
    node = tree
    for key in keys[:-1]:
        below = node.get(key)
        if not isinstance(below, dict):
            below = node[key] = {}
        node = below
    node[keys[-1]] = value


def _origin(key: str, origins: Mapping[str, str]) -> str:
    """The variable or option that gave *key*, or something above it or below it; "" for none."""
    if key in origins:
        return origins[key]
    related = [
        at for at in origins if at.startswith(f"{key}.") or key.startswith((f"{at}.", f"{at}["))
    ]
    return origins[max(related, key=len)] if related else ""
