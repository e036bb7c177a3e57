"""Service-level formulas by id: pure functions of the class counters (design 4, issue table).

Every formula in use somewhere stands here once, with its rule in plain words and who uses it.
Nothing to divide by gives no number: the ratio is None, never 0 and never 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple


class Moment(Enum):
    """When a formula takes its counters in a rolling window."""

    EVENT = "service-level event"
    OUTCOME = "outcome"
    ARRIVAL = "arrival"
    LIVE = "now"


class Classes(NamedTuple):
    """How many visits are in each class; T is the threshold, S the short-abandon limit.

    Attributes:
        answered_within: a, answered up to T.
        answered_late: A, answered later.
        abandoned_short: s, abandoned up to min(S, T).
        abandoned_before: b, abandoned in (min(S, T), T].
        abandoned_after: B, abandoned later.
        left_within: f, left up to T; withdrawn ones are in no formula.
        left_after: F, left later, withdrawn ones too.
        failed_within: f*, of f those left by timeout, empty or error.
        failed_after: F*, of F those, or withdrawn.
        waiting_past: W, waiting past T, expired ones too.
        waiting_within: w, waiting up to T, no service-level event yet.
        offered: all offered but those withdrawn up to T.
        refused: turned away at the door, never offered.
        live_past: waiting past T at this instant, without expired ones.
        live_within: waiting up to T at this instant.
    """

    answered_within: int = 0
    answered_late: int = 0
    abandoned_short: int = 0
    abandoned_before: int = 0
    abandoned_after: int = 0
    left_within: int = 0
    left_after: int = 0
    failed_within: int = 0
    failed_after: int = 0
    waiting_past: int = 0
    waiting_within: int = 0
    offered: int = 0
    refused: int = 0
    live_past: int = 0
    live_within: int = 0

    @property
    def missed(self) -> int:
        """Visits whose threshold passed before an outcome: A + B + F + W."""
        return self.answered_late + self.abandoned_after + self.left_after + self.waiting_past

    @property
    def abandoned_within(self) -> int:
        """Abandoned up to T: s + b."""
        return self.abandoned_short + self.abandoned_before

    @property
    def ended_by_customer_or_agent(self) -> int:
        """Answered or abandoned, whenever: a + A + s + b + B."""
        return (
            self.answered_within + self.answered_late + self.abandoned_within + self.abandoned_after
        )


Fraction = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Formula:
    """One published way to compute a service level.

    Attributes:
        id: the name that travels with every number.
        moment: when its counters are taken in a rolling window.
        rule: the formula in words.
        used_by: systems and standards that report it so.
        fraction: numerator and denominator from the classes.
    """

    id: str
    moment: Moment
    rule: str
    used_by: str
    fraction: Callable[[Classes], Fraction]

    def ratio(self, classes: Classes) -> float | None:
        """The service level from 0 to 1, or None when nothing is counted."""
        return ratio_of(self.fraction(classes))


def ratio_of(fraction: Fraction) -> float | None:
    """Numerator over denominator, None over nothing."""
    numerator, denominator = fraction
    return numerator / denominator if denominator else None


def _strict(c: Classes) -> Fraction:
    counted = c.answered_within + c.abandoned_within + c.left_within + c.missed
    return c.answered_within, counted


def _ucce(c: Classes, good: int, early_abandons: int) -> Fraction:
    return good, c.answered_within + early_abandons + c.missed


def _of_ended(c: Classes, good: int) -> Fraction:
    return good, c.ended_by_customer_or_agent


def _genesys(c: Classes, flow_outs: int) -> Fraction:
    counted = c.ended_by_customer_or_agent - c.abandoned_short + flow_outs
    return c.answered_within, counted


def _perf2(c: Classes) -> Fraction:
    good = c.answered_within + c.abandoned_within + c.failed_within
    return good, c.ended_by_customer_or_agent + c.failed_within + c.failed_after


def _vonage(c: Classes) -> Fraction:
    return c.answered_within, c.ended_by_customer_or_agent + c.left_within + c.left_after


FORMULAS: Final[dict[str, Formula]] = {
    formula.id: formula
    for formula in (
        Formula(
            "strict",
            Moment.EVENT,
            "answered in time / everybody whose wait was decided, those still waiting past T too",
            "floorwatch's default; Cisco UCCE's service-level event with abandons and flow-outs in",
            _strict,
        ),
        Formula(
            "of_offered",
            Moment.ARRIVAL,
            "answered in time / all offered",
            "many outsourcing contracts; AT&T and Avaya VDN reports come close",
            lambda c: (c.answered_within, c.offered),
        ),
        Formula(
            "answered_only",
            Moment.OUTCOME,
            "answered in time / answered",
            "Cisco UCCX 'only handled', Asterisk ServicelevelPerf, Wazo, ICMI 2",
            lambda c: (c.answered_within, c.answered_within + c.answered_late),
        ),
        Formula(
            "ucce_ignore",
            Moment.EVENT,
            "answered in time / decided, without those who abandoned up to T",
            "Cisco UCCE type 1 'ignore abandoned calls'",
            lambda c: _ucce(c, c.answered_within, 0),
        ),
        Formula(
            "ucce_negative",
            Moment.EVENT,
            "answered in time / decided, abandoning up to T is a miss, short ones left out",
            "Cisco UCCE type 2 'abandoned calls have negative impact'",
            lambda c: _ucce(c, c.answered_within, c.abandoned_before),
        ),
        Formula(
            "ucce_positive",
            Moment.EVENT,
            "answered or abandoned in time / decided, short abandons left out",
            "Cisco UCCE type 3 'abandoned calls have positive impact'",
            lambda c: _ucce(c, c.answered_within + c.abandoned_before, c.abandoned_before),
        ),
        Formula(
            "icmi_1",
            Moment.OUTCOME,
            "answered or abandoned in time / answered and abandoned",
            "ICMI 1",
            lambda c: _of_ended(c, c.answered_within + c.abandoned_within),
        ),
        Formula(
            "icmi_3",
            Moment.OUTCOME,
            "answered in time / answered and abandoned",
            "ICMI 3, customer-centric centres",
            lambda c: _of_ended(c, c.answered_within),
        ),
        Formula(
            "icmi_4",
            Moment.OUTCOME,
            "answered in time / answered and abandoned after T",
            "ICMI 4, xCally, Genesys CCPulse",
            lambda c: (
                c.answered_within,
                c.answered_within + c.answered_late + c.abandoned_after,
            ),
        ),
        Formula(
            "icmi_5",
            Moment.OUTCOME,
            "answered in time or abandoned short / answered and abandoned",
            "ICMI 5",
            lambda c: _of_ended(c, c.answered_within + c.abandoned_short),
        ),
        Formula(
            "genesys",
            Moment.OUTCOME,
            "answered in time / answered and abandoned, short abandons left out",
            "Genesys Cloud with abandons on, short abandons and flow-outs off",
            lambda c: _genesys(c, 0),
        ),
        Formula(
            "genesys_flowouts",
            Moment.OUTCOME,
            "answered in time / answered, abandoned and left, short abandons left out",
            "Genesys Cloud with abandons and flow-outs on, short abandons off",
            lambda c: _genesys(c, c.left_within + c.left_after),
        ),
        Formula(
            "asterisk_perf2",
            Moment.OUTCOME,
            "answered, abandoned or failed in time / answered, abandoned and failed",
            "Asterisk ServicelevelPerf2: timeouts, empty exits and errors are its abandons",
            _perf2,
        ),
        Formula(
            "connect",
            Moment.ARRIVAL,
            "removed from the queue in time, by whatever / all offered",
            "Amazon Connect SERVICE_LEVEL over contacts queued",
            lambda c: (c.answered_within + c.abandoned_within + c.left_within, c.offered),
        ),
        Formula(
            "vonage",
            Moment.OUTCOME,
            "answered in time / answered, abandoned and left",
            "Vonage (NewVoiceMedia) default, Avaya BCMS",
            _vonage,
        ),
        Formula(
            "talkdesk",
            Moment.ARRIVAL,
            "answered in time / all offered without short abandons",
            "Talkdesk",
            lambda c: (c.answered_within, c.offered - c.abandoned_short),
        ),
        Formula(
            "knocked",
            Moment.ARRIVAL,
            "answered in time / all offered and those refused at the door",
            "NethVoice report: everything that knocked",
            lambda c: (c.answered_within, c.offered + c.refused),
        ),
        Formula(
            "altigen_now",
            Moment.LIVE,
            "waiting up to T / waiting, at this instant",
            "AltiGen's real-time service level",
            lambda c: (c.live_within, c.live_within + c.live_past),
        ),
    )
}

FORMULA_IDS: Final = tuple(FORMULAS)
DEFAULT_FORMULA: Final = "strict"


def strict_bounds(event: Classes, undecided: int) -> tuple[Fraction, Fraction]:
    """`strict` should all *undecided* visits miss, and should all of them make it."""
    good, counted = _strict(event)
    total = counted + undecided
    return (good, total), (good + undecided, total)
