from __future__ import annotations

import re
from collections import Counter

import pytest

from schemas.metric_names import ALL, PREFIX, Metric

NAME = re.compile(r"[a-z]+(_[a-z]+)*")
PERSONAL = {"contact", "interaction", "agent", "customer", "phone", "caller", "number", "id"}


def by_name(metric: Metric) -> str:
    return metric.name.removeprefix(PREFIX)


each_metric = pytest.mark.parametrize("metric", ALL, ids=by_name)


def test_no_name_is_given_twice() -> None:
    assert [name for name, times in Counter(m.name for m in ALL).items() if times > 1] == []


def test_no_histogram_writes_series_that_look_like_another_metric() -> None:
    names = {metric.name for metric in ALL}

    for metric in ALL:
        if metric.kind == "histogram":
            assert names.isdisjoint(metric.name + end for end in ("_bucket", "_sum", "_count"))


@each_metric
def test_a_name_has_the_prefix_and_plain_words(metric: Metric) -> None:
    assert metric.name.startswith(PREFIX)
    assert NAME.fullmatch(metric.name)


@each_metric
def test_a_suffix_says_the_kind(metric: Metric) -> None:
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_info") == (metric.kind == "info")
    assert not metric.name.endswith(("_bucket", "_sum", "_count"))


@each_metric
def test_the_unit_is_a_base_unit_and_comes_last(metric: Metric) -> None:
    words = metric.name.split("_")

    assert {"ms", "milliseconds", "minutes", "hours", "percent", "kib"}.isdisjoint(words)
    for unit in ("seconds", "ratio", "records"):
        assert unit not in words[:-1]
    if metric.kind == "histogram":
        assert words[-1] == "seconds"
    if "timestamp" in words:
        assert words[-2:] == ["timestamp", "seconds"]
        assert "since 1970" in metric.help


@each_metric
def test_the_help_is_one_sentence_that_says_its_range(metric: Metric) -> None:
    assert re.fullmatch(r"[A-Z0-9].*[^.]\.", metric.help)
    assert not re.search(r"\. [A-Z]|\n", metric.help)


@each_metric
def test_labels_are_plain_words_and_name_no_person(metric: Metric) -> None:
    assert len(set(metric.labels)) == len(metric.labels)
    assert all(NAME.fullmatch(label) for label in metric.labels)
    assert PERSONAL.isdisjoint(metric.labels)
    assert "le" not in metric.labels


@each_metric
def test_a_channel_is_always_one_of_a_queue(metric: Metric) -> None:
    if "channel" in metric.labels:
        assert metric.labels[:2] == ("queue", "channel")


def test_the_customer_type_is_only_on_instant_counters() -> None:
    assert {by_name(metric) for metric in ALL if "segment" in metric.labels} == {
        "contacts_instant_total",
        "contacts_sent_to_wait_total",
    }
