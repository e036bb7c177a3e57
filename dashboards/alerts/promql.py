"""The pieces that rules are made of.

Whole-floor series come from every worker alike, so they are read as the maximum over workers, by
all that tells one queue of one installation from another. Both sides of every operator then carry
the same labels and match without `on`. Two floorwatches in one Prometheus do not mix.
"""

from __future__ import annotations

from typing import Final

from schemas import metric_names as m
from schemas.metric_names import Metric
from streams.core.judgement import STAFFED

INSTALLATION: Final = "cluster, namespace, job"
LINE: Final = f"{INSTALLATION}, queue"
QUEUE: Final = f"{INSTALLATION}, queue, channel"

FRESH_S: Final = 60
"""What is known of a queue may stand this far behind now: two scrapes, where they are slow."""


def series(metric: Metric, /, *, over: str = "", **matchers: str) -> str:
    """A selector of *metric*, *over* a range such as `5m`.

    A matcher's value is compared as text, or as a pattern where it begins with `=~`, `!~`, `!=`.
    """
    written = ",".join(_matcher(label, value) for label, value in matchers.items())
    return metric.name + (f"{{{written}}}" if written else "") + (f"[{over}]" if over else "")


def _matcher(label: str, value: str) -> str:
    operator = value[:2] if value[:2] in ("=~", "!~", "!=") else "="
    return f'{label}{operator}"{value.removeprefix(operator) if operator != "=" else value}"'


def of_queue(metric: Metric, /, **matchers: str) -> str:
    """*metric* by queue and channel."""
    return f"max by ({QUEUE}) ({series(metric, **matchers)})"


def of_line(metric: Metric, /, **matchers: str) -> str:
    """*metric* by queue, for what is known of all its channels together."""
    return f"max by ({LINE}) ({series(metric, **matchers)})"


def age(metric: Metric, /, **matchers: str) -> str:
    """Seconds since the instant in *metric*, where there is one."""
    return f"time() - ({of_queue(metric, **matchers)} > 0)"


def by_own_formula(metric: Metric, window: str) -> str:
    """*metric* over *window* by the formula that the queue is judged by, as the wall shows it."""
    level = f"max by ({QUEUE}, formula) ({series(metric, window=window)})"
    own = f"group by ({QUEUE}, formula) ({series(m.SERVICE_LEVEL_FORMULA)})"
    return f"max by ({QUEUE}) ({level} and {own})"


def rise(metric: Metric, over: str, /, **matchers: str) -> str:
    """By how much the counter *metric* rose, all values of its last label together if not said."""
    selector = f"increase({series(metric, over=over, **matchers)})"
    if matchers:
        return f"max by ({QUEUE}) ({selector})"
    return f"sum by ({QUEUE}) (max by ({QUEUE}, {metric.labels[-1]}) ({selector}))"


def window_contacts(window: str, outcomes: str) -> str:
    """Visits of *window* with one of *outcomes*, a pattern."""
    each = series(m.WINDOW_CONTACTS, window=window, outcome=f"=~{outcomes}")
    return f"sum by ({QUEUE}) (max by ({QUEUE}, outcome) ({each}))"


def most_staffed() -> str:
    """By queue, the agents in the fullest of the states in which one can take a contact.

    0 where there is none in any: now, or once the contact or the work after it is done.
    """
    return of_line(m.AGENTS, state=f"=~{'|'.join(sorted(STAFFED))}")


FRESH: Final = f"time() - {of_queue(m.QUEUE_AS_OF)} < {FRESH_S}"
IN_HOURS: Final = f"{of_queue(m.QUEUE_SCHEDULED_OPEN)} == 1"
TARGET: Final = of_queue(m.SERVICE_LEVEL_TARGET)
VOLUME_FLOOR: Final = of_queue(m.ALERT_MIN_CONTACTS)


def burning(times: float) -> str:
    """The service level at which the error budget goes *times* too fast.

    Burn = (1 - level) / (1 - target), so it is `times * target - (times - 1)`; rounded, for the
    limit itself not to count as beyond it.
    """
    return f"round({times} * {TARGET} - {times - 1}, 0.0001)"


def all_of(*conditions: str) -> str:
    """The first condition with its value, where every other one holds as well."""
    return "\nand ".join(conditions)


def on_the_floor(*conditions: str) -> str:
    """`all_of`, inside opening hours and only while the queue is known as of now."""
    return all_of(*conditions, FRESH, IN_HOURS)
