"""A believable contact centre that never existed, for demonstrations, tests and load."""

from streams.simulator.centre import Centre, PoolPlan, QueuePlan, default_centre, zone_where_it_is
from streams.simulator.delivery import Delivery
from streams.simulator.incidents import Incident, parse_incident
from streams.simulator.simulation import Simulation

__all__ = [
    "Centre",
    "Delivery",
    "Incident",
    "PoolPlan",
    "QueuePlan",
    "Simulation",
    "default_centre",
    "parse_incident",
    "zone_where_it_is",
]
