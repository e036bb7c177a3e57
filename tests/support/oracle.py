"""An independent computation of every indicator, by brute force and from the design alone.

It shares no code with the core: the core is checked against it. `visits_of` says what happened to
every contact, `row` gives one row of figures, `accept` applies the rules of arrival.
"""

from tests.support.oracle_figures import (
    FORMULAS,
    Classes,
    first_instant_of,
    interval_row,
    row,
    row_over,
)
from tests.support.oracle_policy import Policy, to_ms, to_text
from tests.support.oracle_visits import OracleContact, Visit, accept, visits_of

__all__ = [
    "FORMULAS",
    "Classes",
    "OracleContact",
    "Policy",
    "Visit",
    "accept",
    "first_instant_of",
    "interval_row",
    "row",
    "row_over",
    "to_ms",
    "to_text",
    "visits_of",
]
