"""The `policy` part of the settings, from plain values to a `PolicyBook`.

A value stands for all time (`threshold: 20s`), or changes at stated instants:
`threshold: [20s, {from: 2026-03-01T00:00:00+01:00, value: 30s}]`. In a list that holds such a
mapping the one plain value, if any, comes first and holds from the beginning; without one, what
is set more generally holds until the first instant.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from streams.core.opening_hours import read_hours
from streams.core.policy import (
    ALWAYS,
    INSTANT_CHANNELS,
    WINDOWS,
    BadSetting,
    Dated,
    Layer,
    PolicyBook,
    PolicyLayers,
    QueueLayer,
)
from streams.core.readers import (
    Reader,
    duration,
    instant,
    mapping,
    named,
    one_of,
    optional,
    positive_duration,
    ratio,
    read_value,
    several_of,
    text,
    whole,
    zone,
)

LIMIT: Final = "longest_wait_limit"
SEVERITIES: Final = ("warning", "critical")
UNDATED: Final = ("zone", "name", "site", "team")
"""What has no history: a queue's day is cut in one zone, and screens show today's names."""


def _hours(plain: object) -> tuple[tuple[int, int], ...]:
    if isinstance(plain, list) and all(isinstance(item, str) for item in plain):
        return read_hours(", ".join(plain))
    return read_hours(plain if isinstance(plain, str) else "")


READERS: Final[Mapping[str, Reader]] = {
    "threshold": positive_duration,
    "target": ratio,
    "short_abandon": duration,
    "instant_within": duration,
    "instant_target": optional(ratio),
    "initial_response_limit": positive_duration,
    "expires_after": positive_duration,
    "abandonment_limit": ratio,
    "volume_floor": whole(0, 1_000_000),
    "hours": _hours,
    "zone": zone,
    "site": text,
    "team": text,
    "windows": several_of(WINDOWS),
    "export_formulas": one_of(("own", "all")),
}
"""How the value of each key is read; `formula` joins them with the ids that there are."""


def read_policy(plain: object, *, formulas: Iterable[str], path: str = "policy") -> PolicyBook:
    """The policy in *plain*, the mapping that stands at *path* in the settings.

    Raises:
        BadSetting: when a key is unknown, a value is wrong, or two values contradict each other.
    """
    readers = {**READERS, "formula": one_of(tuple(formulas))}
    parts = mapping(plain, path, ("defaults", "channels", "queues"))
    queues = named(parts.get("queues"), f"{path}.queues")
    return PolicyBook(
        PolicyLayers(
            defaults=_layer(parts.get("defaults"), f"{path}.defaults", readers),
            channels=_channels(parts.get("channels"), f"{path}.channels", readers),
            queues={
                queue_id: _queue_layer(layer, f"{path}.queues.{queue_id}", readers)
                for queue_id, layer in queues.items()
            },
        )
    )


def _queue_layer(plain: object, path: str, readers: Mapping[str, Reader]) -> QueueLayer:
    parts = dict(mapping(plain, path, (*readers, LIMIT, "name", "was", "channels")))
    was = _old_ids(parts.pop("was", None), f"{path}.was")
    channels = _channels(parts.pop("channels", None), f"{path}.channels", readers)
    return QueueLayer(
        own=_layer(parts, path, {**readers, "name": text}), channels=channels, was=was
    )


def _channels(plain: object, path: str, readers: Mapping[str, Reader]) -> dict[str, Layer]:
    layers = {}
    for channel, layer in named(plain, path).items():
        place = f"{path}.{channel}"
        layers[channel] = _layer(layer, place, readers)
        for key in ("instant_within", "instant_target"):
            if key in layers[channel] and channel not in INSTANT_CHANNELS:
                defined = " and ".join(INSTANT_CHANNELS)
                raise BadSetting(f"{place}.{key}", f"instant service is defined for {defined} only")
    return layers


def _layer(plain: object, path: str, readers: Mapping[str, Reader]) -> Layer:
    layer: dict[str, Dated] = {}
    for key, value in mapping(plain, path, (*readers, LIMIT)).items():
        place = f"{path}.{key}"
        if key == LIMIT:
            for severity, limit in mapping(value, place, SEVERITIES).items():
                reading = _dated(limit, f"{place}.{severity}", positive_duration)
                layer[f"{LIMIT}.{severity}"] = reading
        elif key in UNDATED:
            layer[key] = ((ALWAYS, read_value(value, place, readers[key])),)
        else:
            layer[key] = _dated(value, place, readers[key])
    return layer


def _dated(plain: object, path: str, reader: Reader) -> Dated:
    """(from_ms, value) pairs in the order of time."""
    if isinstance(plain, Mapping):
        items: Sequence[object] = [plain]
    elif isinstance(plain, list) and any(isinstance(item, Mapping) for item in plain):
        items = plain
    else:
        return ((ALWAYS, read_value(plain, path, reader)),)
    entries: dict[int, Any] = {}
    for number, item in enumerate(items):
        place = f"{path}[{number}]"
        if isinstance(item, Mapping):
            from_ms, value = _entry(item, place)
        elif number == 0:
            from_ms, value = ALWAYS, item
        else:
            problem = "expected {from: TIME, value: VALUE}; only the first one may be plain"
            raise BadSetting(place, problem, value=item)
        if from_ms in entries:
            raise BadSetting(f"{place}.from", "expected each instant once")
        entries[from_ms] = read_value(value, place, reader)
    return tuple(sorted(entries.items()))


def _entry(item: Mapping[str, object], path: str) -> tuple[int, object]:
    parts = mapping(item, path, ("from", "value"))
    for key in ("from", "value"):
        if key not in parts:
            raise BadSetting(path, f"expected {{from: TIME, value: VALUE}}, but it has no {key}")
    return read_value(parts["from"], f"{path}.from", instant), parts["value"]


def _old_ids(plain: object, path: str) -> dict[str, int]:
    """Each old id with the instant from which it means this queue."""
    if plain is None:
        return {}
    if not isinstance(plain, list):
        raise BadSetting(path, "expected a list of old queue ids", value=plain)
    old_ids: dict[str, int] = {}
    for number, item in enumerate(plain):
        place = f"{path}[{number}]"
        from_ms, value = _entry(item, place) if isinstance(item, Mapping) else (ALWAYS, item)
        old_id = read_value(value, place, text)
        if old_id in old_ids:
            raise BadSetting(place, "expected each old id once", value=old_id)
        old_ids[old_id] = from_ms
    return old_ids
