"""The centre at work: a discrete-event simulation that yields the records its systems would send.

`Simulation` keeps a heap of what happens next and one handler for each kind of step. It has no
clock and one seed: the same seed gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from heapq import heappop, heappush
from typing import Final, TypeVarTuple

import orjson

from streams.simulator.centre import Centre, PoolPlan
from streams.simulator.chance import HEAD_START_MS, Chance
from streams.simulator.delivery import Delivery, Outbox
from streams.simulator.incidents import Incident, IncidentKind
from streams.simulator.state import Agent, Contact, Queue, queue_of

ALIVE_EVERY_MS: Final = 10_000
OBSERVED_EVERY_MS: Final = 30_000

_QUARTER_MS: Final = 15 * 60_000

_MISSES_THE_RING: Final = 0.03
_RINGS_OUT_MS: Final = 15_000
_AWAY_AFTER_MISS_MS: Final = 60_000
_HOLDS: Final = 0.16
_TRANSFERS: Final = 0.07
_CONSULTS: Final = 0.3
_RESOLVES: Final = 0.74
_REOPENS: Final = 0.05
_COMES_AGAIN: Final = 0.25
_LEAVES_SILENTLY: Final = 0.04

_SURGE: Final = 3.0
_STAFF_OUT: Final = 0.9

Args = TypeVarTuple("Args")
Wire = dict[str, object]


class Simulation:
    """A contact centre from *start_ms* on, for ever or until *end_ms*.

    Everything happens in [start, end); what is late or held back then is delivered afterwards, and
    contacts in progress stay as they are.

    Args:
        centre: the queues, the agents and the day.
        seed: the same seed, centre, times, rate and incidents give the same bytes.
        start_ms: epoch ms of the first moment.
        end_ms: epoch ms before which everything happens; None to go on for ever.
        rate: size of the centre: arrivals, waiting room and agents grow with it.
        incidents: what goes wrong.

    Raises:
        ValueError: the rate is not above 0, or an incident names a queue that is not there.
    """

    def __init__(
        self,
        centre: Centre,
        *,
        seed: int,
        start_ms: int,
        end_ms: int | None = None,
        rate: float = 1.0,
        incidents: Sequence[Incident] = (),
    ) -> None:
        if not (rate > 0 and math.isfinite(rate)):
            raise ValueError(f"rate {rate}: expected a number above 0, such as 1 or 10")
        self._queues = {plan.queue: queue_of(plan) for plan in centre.queues}
        for incident in incidents:
            if incident.queue and incident.queue not in self._queues:
                raise ValueError(
                    f"incident {incident}: there is no queue {incident.queue!r}; expected one of "
                    f"{', '.join(self._queues)}"
                )
        self._centre = centre
        self._rate = rate
        self._end_ms = math.inf if end_ms is None else end_ms
        self._chance = Chance(seed)
        self._outbox = Outbox(~seed)
        self._prefix = f"{_base36(start_ms // 1000 % 36**7)}-{_base36(seed % 36**6)}"
        self._now_ms = start_ms
        self._second = -1
        self._second_text = ""
        self._event_count = self._contact_count = self._step_count = 0
        self._steps: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = []
        self._most = max(centre.week) * max(centre.day)
        self._level = 0.0
        self._level_until_ms = start_ms
        self._agents: dict[str, Agent] = {}
        self._topics: dict[str, set[str]] = {}
        for queue in self._queues.values():
            self._topics.setdefault(queue.plan.source, {"queues"}).add(queue.topic)
        self._begin(start_ms, incidents)

    def run(self, until_ms: int | None = None) -> Iterator[Delivery]:
        """Deliveries in the order in which they are sent, up to *until_ms* (excluded) or the end.

        It may be called again and goes on where it stopped.
        """
        steps, outbox = self._steps, self._outbox
        ready, late = outbox.ready, outbox.late
        before_ms = math.inf if until_ms is None else until_ms
        stops_ms = min(before_ms, self._end_ms)
        while steps:
            next_ms = min(steps[0][0], stops_ms)
            if ready or (late and late[0][0] < next_ms):
                yield from outbox.due(next_ms)
            if next_ms == stops_ms:
                break
            self._now_ms, _, handle, args = heappop(steps)
            handle(*args)
        if before_ms > self._end_ms:
            outbox.release_all(round(self._end_ms))
            yield from outbox.due(before_ms)

    def _begin(self, start_ms: int, incidents: Sequence[Incident]) -> None:
        local = datetime.fromtimestamp(start_ms / 1000, self._centre.zone)
        for source in self._topics:
            self._at(start_ms, self._beat, source)
        for ordinal, queue in enumerate(self._queues.values(), 1):
            first, last = queue.plan.hours
            is_open = first <= local.hour + local.minute / 60 < last
            self._at(start_ms, self._open if is_open else self._close, queue)
            self._after(OBSERVED_EVERY_MS * ordinal // len(self._queues), self._observe, queue)
            self._at(start_ms, self._plan_arrival, queue)
        self._plan_shifts(local.date() - timedelta(days=1))
        self._at(start_ms, self._plan_day, local.date())
        for incident in incidents:
            begins_ms = start_ms + incident.at_ms
            self._at(begins_ms, self._strike, incident, True)
            self._at(begins_ms + incident.lasts_ms, self._strike, incident, False)

    # The calendar

    def _plan_day(self, day: date) -> None:
        """Plan the shifts and opening hours of a local day, and the planning of the next."""
        self._plan_shifts(day)
        for queue in self._queues.values():
            first, last = queue.plan.hours
            if last - first < 24:
                for handle, hour in ((self._open, first), (self._close, last)):
                    at_ms = self._local_ms(day, round(hour * 60))
                    if at_ms > self._now_ms:
                        self._at(at_ms, handle, queue)
        tomorrow = day + timedelta(days=1)
        self._at(self._local_ms(tomorrow, 0), self._plan_day, tomorrow)

    def _plan_shifts(self, day: date) -> None:
        """Send in everyone who works on *day*, at once where the shift has begun already."""
        for pool in self._centre.pools:
            shifts = self._centre.shifts(pool, weekday=day.weekday(), rate=self._rate)
            for ordinal, shift in enumerate(shifts, 1):
                ends_ms = self._local_ms(day, shift.ends_min)
                if ends_ms <= self._now_ms:
                    continue
                agent = self._agent(pool, ordinal)
                begins_ms = max(self._now_ms, self._local_ms(day, shift.begins_min))
                self._at(begins_ms, self._sign_in, agent, ends_ms)
                for minute, length_min in shift.breaks:
                    pause_ms = self._local_ms(day, minute)
                    if pause_ms > self._now_ms:
                        self._at(pause_ms, self._pause, agent, length_min * 60_000)

    def _agent(self, pool: PoolPlan, ordinal: int) -> Agent:
        agent_id = f"{pool.name}-{ordinal:02d}"
        agent = self._agents.get(agent_id)
        if agent is None:
            queues = tuple(self._queues[queue] for queue, _ in pool.serves)
            agent = Agent(agent_id, agent_id.encode(), queues, pool.slots)
            self._agents[agent_id] = agent
        return agent

    def _local_ms(self, day: date, minute: int) -> int:
        """Epoch ms of a local minute of *day*; minutes from 1440 on are the next day's."""
        days, minute = divmod(minute, 1440)
        local = datetime.combine(day + timedelta(days=days), time(minute // 60, minute % 60))
        return round(local.replace(tzinfo=self._centre.zone).timestamp() * 1000)

    def _arrival_level(self) -> float:
        """Arrivals now, as a share of an ordinary weekday's busiest hour; steps every 15 min."""
        if self._now_ms >= self._level_until_ms:
            local = datetime.fromtimestamp(self._now_ms / 1000, self._centre.zone)
            minute = local.hour * 60 + local.minute // 15 * 15 + 7.5
            self._level = self._centre.level(minute) * self._centre.week[local.weekday()]
            self._level_until_ms = (self._now_ms // _QUARTER_MS + 1) * _QUARTER_MS
        return self._level

    # Sources and queues

    def _beat(self, source: str) -> None:
        value = orjson.dumps(self._event("source.alive", source))
        if not self._outbox.is_silent(source):
            for topic in sorted(self._topics[source]):
                self._outbox.send(Delivery(self._now_ms, topic, None, value), source)
        self._after(ALIVE_EVERY_MS, self._beat, source)

    def _open(self, queue: Queue) -> None:
        queue.is_open = True
        if not queue.is_faulty:
            self._say_of_queue("queue.opened", queue, {})

    def _close(self, queue: Queue) -> None:
        queue.is_open = False
        if not queue.is_faulty:
            self._say_of_queue("queue.closed", queue, {"reason": "planned"})

    def _observe(self, queue: Queue) -> None:
        seen = {"waiting": queue.waiting, "agents": queue.staff}
        self._say_of_queue("queue.observed", queue, seen)
        self._after(OBSERVED_EVERY_MS, self._observe, queue)

    # Agents

    def _sign_in(self, agent: Agent, until_ms: int) -> None:
        if until_ms <= agent.until_ms:
            return
        agent.until_ms = until_ms
        self._at(until_ms, self._sign_off, agent, until_ms)
        if agent.is_on_duty:
            return
        agent.is_on_duty = True
        for queue in agent.queues:
            queue.on_duty += 1
        self._settle(agent)

    def _sign_off(self, agent: Agent, until_ms: int) -> None:
        if agent.until_ms == until_ms:
            agent.is_leaving = True
            self._settle(agent)

    def _pause(self, agent: Agent, length_ms: int) -> None:
        if agent.is_on_duty and not agent.pause_ms:
            agent.pause_ms = length_ms
            self._settle(agent)

    def _resume(self, agent: Agent) -> None:
        agent.pause_ms = 0
        agent.is_pausing = False
        self._settle(agent)

    def _settle(self, agent: Agent) -> None:
        """Give the agent the state that follows from what is planned and being done."""
        if not agent.is_on_duty:
            return
        if agent.takes_contacts:
            self._set_state(agent, "available")
            self._feed(agent)
            return
        for queue in agent.queues:
            queue.idle.pop(agent, None)
        if agent.load:
            return
        if agent.is_leaving:
            self._log_out(agent)
            return
        self._set_state(agent, "not_ready")
        if agent.pause_ms and not agent.is_pausing:
            agent.is_pausing = True
            self._after(agent.pause_ms, self._resume, agent)

    def _log_out(self, agent: Agent) -> None:
        agent.is_on_duty = agent.is_leaving = agent.is_out = agent.is_pausing = False
        agent.pause_ms = 0
        self._set_state(agent, "logged_out")
        for queue in agent.queues:
            queue.on_duty -= 1
            if queue.on_duty == 0 and queue.plan.patience_s:
                self._send_away(queue, "empty")

    def _set_state(self, agent: Agent, state: str) -> None:
        if state == agent.state:
            return
        for queue in agent.queues:
            if agent.state in queue.staff:
                queue.staff[agent.state] -= 1
            if state in queue.staff:
                queue.staff[state] += 1
        agent.state = state
        source = agent.queues[0].plan.source
        event = self._event("agent.changed", source)
        event["agent"] = agent.id
        event["queues"] = [queue.plan.queue for queue in agent.queues]
        event["state"] = state
        delivery = Delivery(self._now_ms, "queues", agent.key, orjson.dumps(event))
        self._outbox.send(delivery, source)

    def _feed(self, agent: Agent) -> None:
        """Give the agent those who wait, the most urgent first; then let the agent be idle."""
        while agent.takes_contacts:
            contact = self._most_urgent(agent)
            if contact is None:
                for queue in agent.queues:
                    queue.idle[agent] = None
                return
            self._assign(contact, agent)

    def _most_urgent(self, agent: Agent) -> Contact | None:
        """Take out of line who has waited longest in the agent's queues, counted in thresholds."""
        chosen: Queue | None = None
        most = -math.inf
        for queue in agent.queues:
            line = queue.line
            while line and (line[0][2].stage != line[0][3] or line[0][2].is_ringing):
                heappop(line)
            if line:
                urgency = (self._now_ms - line[0][0]) / queue.plan.threshold_s
                if urgency > most:
                    chosen, most = queue, urgency
        return heappop(chosen.line)[2] if chosen is not None else None

    def _assign(self, contact: Contact, agent: Agent) -> None:
        """An agent is to take the contact: a telephone rings, or a text pops up."""
        agent.load += 1
        if not agent.takes_contacts:
            for queue in agent.queues:
                queue.idle.pop(agent, None)
        contact.agent = agent
        contact.ring += 1
        if not contact.queue.is_voice:
            if agent.load == agent.slots:
                self._set_state(agent, "on_contact")
            self._after(self._chance.between_ms(800, 3_000), self._answer, contact, contact.ring)
            return
        self._say("contact.rang", contact)
        if self._chance.happens(_MISSES_THE_RING):
            self._after(_RINGS_OUT_MS, self._miss, contact, contact.ring)
        else:
            self._after(self._chance.between_ms(900, 5_500), self._answer, contact, contact.ring)

    def _free(self, agent: Agent) -> None:
        agent.load -= 1
        self._settle(agent)

    # A contact's way

    def _plan_arrival(self, queue: Queue) -> None:
        """The next arrival of a Poisson process whose rate follows the day, by thinning."""
        per_hour = queue.plan.per_hour * self._rate * self._most
        self._after(self._chance.gap_ms(per_hour), self._arrive, queue)

    def _arrive(self, queue: Queue) -> None:
        self._plan_arrival(queue)
        if self._chance.happens(self._arrival_level() / self._most):
            self._come(queue)

    def _plan_surge(self, queue: Queue, until_ms: int) -> None:
        """What a surge adds is a second, independent stream."""
        per_hour = queue.plan.per_hour * self._rate * self._most * (_SURGE - 1)
        self._after(self._chance.gap_ms(per_hour), self._surge, queue, until_ms)

    def _surge(self, queue: Queue, until_ms: int) -> None:
        if self._now_ms < until_ms:
            self._plan_surge(queue, until_ms)
            if self._chance.happens(self._arrival_level() / self._most):
                self._come(queue)

    def _come(self, queue: Queue, customer: str = "", interaction: str = "") -> None:
        """Somebody asks for *queue*: on the telephone at its door, in writing with a message."""
        self._contact_count += 1
        contact_id = f"{self._prefix}-{_base36(self._contact_count)}"
        segment = self._chance.segment()
        contact = Contact(
            id=contact_id,
            queue=queue,
            customer=customer or self._chance.customer(),
            interaction=interaction or f"i-{contact_id}",
            segment=segment,
            head_start_ms=HEAD_START_MS[segment],
            topic=self._chance.one_of(queue.plan.topics),
            key=contact_id.encode(),
        )
        if queue.is_voice:
            if self._admits(contact):
                self._say("contact.offered", contact)
                self._enter(contact)
            return
        self._say("contact.messaged", contact)
        if self._chance.happens(queue.talk.bot_share):
            self._after(self._chance.between_ms(500, 2_000), self._bot_replies, contact, 1)
        elif self._admits(contact):
            self._enter(contact)

    def _admits(self, contact: Contact) -> bool:
        """Whether the queue lets the contact in; else it is refused at the door."""
        queue = contact.queue
        if queue.is_faulty or not queue.is_open:
            reason = "closed"
        elif queue.waiting >= queue.plan.room * max(1.0, self._rate):
            reason = "full"
        elif queue.on_duty == 0 and queue.plan.patience_s:
            reason = "no_agents"
        else:
            return True
        self._say("contact.refused", contact, {"reason": reason})
        if queue.is_open:
            self._perhaps_come_again(contact)
        return False

    def _enter(self, contact: Contact) -> None:
        """To a free agent at once, or into the line; whoever writes is always queued first."""
        queue = contact.queue
        contact.stage += 1
        contact.queued_ms = self._now_ms
        queue.waiting += 1
        leaving = self._chance.leaving(queue.plan)
        if leaving is not None:
            self._after(leaving.after_ms, self._give_up, contact, contact.stage, leaving.route)
        if not (queue.idle and queue.is_voice):
            expected_s = queue.waiting * (queue.plan.handle_s + queue.plan.after_s)
            announced_s = round(expected_s / max(1, queue.on_duty))
            self._say("contact.queued", contact, {"announced_wait_s": announced_s})
        self._hand_over(contact)

    def _hand_over(self, contact: Contact) -> None:
        """To the agent who has been idle longest, or to the contact's place in line."""
        queue = contact.queue
        agent = next(iter(queue.idle), None)
        if agent is not None:
            self._assign(contact, agent)
            return
        self._step_count += 1
        place_ms = contact.queued_ms - contact.head_start_ms
        heappush(queue.line, (place_ms, self._step_count, contact, contact.stage))

    def _give_up(self, contact: Contact, stage: int, route: str) -> None:
        if contact.stage != stage:
            return
        agent = self._leave_line(contact)
        if route == "abandoned":
            self._say("contact.abandoned", contact)
            self._perhaps_come_again(contact)
        else:
            self._say("contact.left", contact, {"reason": route})
        if route == "overflow":
            contact.queue = self._queues[contact.queue.plan.overflow_to]
            self._enter(contact)
        if agent is not None:
            self._free(agent)

    def _leave_line(self, contact: Contact) -> Agent | None:
        """The contact waits no longer; an agent whose telephone rang for it is given back."""
        contact.stage += 1
        contact.queue.waiting -= 1
        if not contact.is_ringing:
            return None
        contact.ring += 1
        agent, contact.agent = contact.agent, None
        return agent

    def _send_away(self, queue: Queue, reason: str) -> None:
        """Everyone who stands in line leaves by the same route."""
        line, queue.line = sorted(queue.line, key=lambda entry: entry[:2]), []
        for _, _, contact, stage in line:
            if contact.stage == stage and not contact.is_ringing:
                self._leave_line(contact)
                self._say("contact.left", contact, {"reason": reason})

    def _perhaps_come_again(self, contact: Contact) -> None:
        """Some try again minutes later, about the same matter."""
        if self._chance.happens(_COMES_AGAIN):
            self._after(self._chance.between_ms(60_000, 600_000), self._come_again, contact)

    def _come_again(self, contact: Contact) -> None:
        self._come(contact.queue, contact.customer, contact.interaction)

    def _miss(self, contact: Contact, ring: int) -> None:
        """The telephone rang out: the agent is away for a minute, the caller waits on."""
        if contact.ring != ring:
            return
        agent = contact.served_by
        self._say("contact.unanswered", contact)
        contact.ring += 1
        contact.agent = None
        agent.pause_ms = agent.pause_ms or _AWAY_AFTER_MISS_MS
        self._free(agent)
        self._hand_over(contact)

    def _answer(self, contact: Contact, ring: int) -> None:
        if contact.ring != ring:
            return
        contact.ring += 1
        contact.stage += 1
        contact.queue.waiting -= 1
        self._say("contact.answered", contact)
        if contact.queue.is_voice:
            self._set_state(contact.served_by, "on_contact")
            self._converse(contact)
        else:
            self._correspond(contact)

    # On the telephone

    def _converse(self, contact: Contact) -> None:
        length_ms = self._chance.lasts_ms(contact.queue.plan.handle_s, 0.7)
        if self._chance.happens(_HOLDS) and length_ms > 30_000:
            from_ms = length_ms * 3 // 10
            held_ms = min(length_ms // 3, self._chance.between_ms(8_000, 60_000))
            self._after(from_ms, self._say_if, contact, contact.stage, "contact.held")
            to_ms = from_ms + held_ms
            self._after(to_ms, self._say_if, contact, contact.stage, "contact.resumed")
        self._after(length_ms, self._finish_call, contact)

    def _finish_call(self, contact: Contact) -> None:
        agent = contact.served_by
        from_plan = contact.queue.plan
        target = self._queues.get(from_plan.transfers_to)
        can_pass_on = target is not None and target.is_open and not target.is_faulty
        ended: Contact | None = None
        if target is not None and can_pass_on and self._chance.happens(_TRANSFERS):
            self._transfer(contact, target)
        else:
            by = "customer" if self._chance.happens(0.7) else "agent"
            self._say("contact.ended", contact, {"by": by})
            contact.stage += 1
            ended = contact
        self._set_state(agent, "after_contact_work")
        wrap_ms = self._chance.lasts_ms(max(1.0, from_plan.after_s), 0.6)
        self._after(wrap_ms, self._wrap, ended, agent)

    def _transfer(self, contact: Contact, target: Queue) -> None:
        """Pass a caller on: with a word to a colleague who is free, or blindly into the queue."""
        consults = bool(target.idle) and self._chance.happens(_CONSULTS)
        mode = "consult" if consults else "blind"
        self._say("contact.transferred", contact, {"to": target.plan.queue, "mode": mode})
        contact.queue = target
        contact.agent = None
        self._enter(contact)

    def _wrap(self, contact: Contact | None, agent: Agent) -> None:
        """After-contact work is done; *contact* is None where it was passed on."""
        if contact is not None:
            self._say("contact.wrapped", contact)
            self._resolve(contact)
        self._free(agent)

    def _resolve(self, contact: Contact) -> None:
        if self._chance.happens(_RESOLVES):
            is_first = contact.interaction == f"i-{contact.id}"
            self._say("contact.resolved", contact, {"first_contact": is_first})

    # In writing

    def _bot_replies(self, contact: Contact, answer: int) -> None:
        """The bot answers; then it goes on, is done, or hands over to a person."""
        self._say("contact.replied", contact, {"by": "bot"})
        talk = contact.queue.talk
        is_done = answer > 1 and self._chance.happens(0.45)
        if not is_done and talk.contained_share:
            self._after(
                self._chance.between_ms(4_000, 20_000), self._write_to_bot, contact, answer + 1
            )
        elif self._chance.happens(talk.contained_share):
            self._say("contact.left", contact, {"reason": "bot"})
        elif self._admits(contact):
            self._enter(contact)

    def _write_to_bot(self, contact: Contact, answer: int) -> None:
        self._say("contact.messaged", contact)
        self._after(self._chance.between_ms(500, 2_000), self._bot_replies, contact, answer)

    def _correspond(self, contact: Contact) -> None:
        """A person has the contact: a first reply, then message for message."""
        talk = contact.queue.talk
        contact.exchanges = self._chance.exchanges(talk.exchanges)
        contact.is_gone = contact.queue.plan.channel == "chat" and self._chance.happens(
            _LEAVES_SILENTLY
        )
        self._after(self._chance.lasts_ms(talk.reply_s, 0.5), self._reply, contact)

    def _reply(self, contact: Contact) -> None:
        self._say("contact.replied", contact, {"by": "human"})
        contact.exchanges -= 1
        pause_s = contact.queue.talk.pause_s
        if contact.is_gone:
            self._after(
                self._chance.between_ms(60_000, 180_000), self._close_text, contact, "system"
            )
        elif contact.exchanges > 0:
            self._after(self._chance.lasts_ms(pause_s, 0.5), self._write, contact)
        else:
            by = "customer" if pause_s and self._chance.happens(0.4) else "agent"
            self._after(self._chance.between_ms(1_000, 8_000), self._close_text, contact, by)

    def _write(self, contact: Contact) -> None:
        """The customer writes, often in two messages."""
        self._say("contact.messaged", contact)
        if self._chance.happens(0.4):
            again_ms = self._chance.between_ms(1_500, 6_000)
            self._after(again_ms, self._say_if, contact, contact.stage, "contact.messaged")
        self._after(self._chance.lasts_ms(contact.queue.talk.reply_s, 0.5), self._reply, contact)

    def _close_text(self, contact: Contact, by: str) -> None:
        agent = contact.served_by
        self._say("contact.ended", contact, {"by": by})
        contact.stage += 1
        if by != "system":
            self._resolve(contact)
        if contact.queue.plan.channel == "email" and self._chance.happens(_REOPENS):
            self._after(self._chance.between_ms(1_800_000, 7_200_000), self._reopen, contact)
        contact.agent = None
        self._free(agent)

    def _reopen(self, contact: Contact) -> None:
        """The customer writes again hours later: the matter waits once more."""
        self._say("contact.messaged", contact)
        self._say("contact.reopened", contact)
        self._enter(contact)

    # Incidents

    def _strike(self, incident: Incident, begins: bool) -> None:
        """An incident begins or ends."""
        strikes: dict[IncidentKind, Callable[[Incident, bool], None]] = {
            "agents-out": self._agents_out,
            "surge": self._arrivals_surge,
            "source-silent": self._source_silent,
            "late": self._arrives_late,
            "duplicates": self._arrives_twice,
            "trunk-down": self._trunk_down,
        }
        strikes[incident.kind](incident, begins)

    def _struck(self, incident: Incident) -> list[Queue]:
        """The queue that the incident names, or all."""
        return [self._queues[incident.queue]] if incident.queue else list(self._queues.values())

    def _agents_out(self, incident: Incident, begins: bool) -> None:
        queue = self._struck(incident)[0]
        for agent in self._agents.values():
            if queue in agent.queues and agent.is_on_duty:
                agent.is_out = begins and self._chance.happens(_STAFF_OUT)
                self._settle(agent)

    def _arrivals_surge(self, incident: Incident, begins: bool) -> None:
        if begins:
            for queue in self._struck(incident):
                self._plan_surge(queue, self._now_ms + incident.lasts_ms)

    def _source_silent(self, incident: Incident, begins: bool) -> None:
        source = self._struck(incident)[0].plan.source
        if begins:
            self._outbox.silence(source)
        else:
            self._outbox.release(source, self._now_ms)

    def _arrives_late(self, incident: Incident, begins: bool) -> None:
        for queue in self._struck(incident):
            queue.late += 1 if begins else -1

    def _arrives_twice(self, incident: Incident, begins: bool) -> None:
        for queue in self._struck(incident):
            queue.twice += 1 if begins else -1

    def _trunk_down(self, incident: Incident, begins: bool) -> None:
        for queue in self._struck(incident):
            if not (queue.is_voice or incident.queue):
                continue
            queue.is_faulty = begins
            if begins:
                self._say_of_queue("queue.closed", queue, {"reason": "fault"})
                self._send_away(queue, "error")
            elif queue.is_open:
                self._say_of_queue("queue.opened", queue, {})
            else:
                self._say_of_queue("queue.closed", queue, {"reason": "planned"})

    # Steps and events

    def _at(self, at_ms: int, handle: Callable[[*Args], None], *args: *Args) -> None:
        self._step_count += 1
        heappush(self._steps, (at_ms, self._step_count, handle, args))

    def _after(self, delay_ms: int, handle: Callable[[*Args], None], *args: *Args) -> None:
        self._at(self._now_ms + delay_ms, handle, *args)

    def _event(self, kind: str, source: str) -> Wire:
        self._event_count += 1
        second, milli = divmod(self._now_ms, 1000)
        if second != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return {
            "id": f"{self._prefix}-e{self._event_count}",
            "type": kind,
            "time": f"{self._second_text}.{milli:03d}Z",
            "source": source,
        }

    def _say(self, kind: str, contact: Contact, more: Wire | None = None) -> None:
        """An event of a contact; the first one says whose it is and what it is about."""
        queue = contact.queue
        plan = queue.plan
        contact.sequence += 1
        event = self._event(kind, plan.source)
        event["contact"] = contact.id
        event["sequence"] = contact.sequence
        event["queue"] = plan.queue
        event["channel"] = plan.channel
        if contact.agent is not None:
            event["agent"] = contact.agent.id
        if not contact.is_known:
            contact.is_known = True
            event["interaction"] = contact.interaction
            event["customer"] = contact.customer
            event["segment"] = contact.segment
            event["topic"] = contact.topic
        if more is not None:
            event.update(more)
        delivery = Delivery(self._now_ms, queue.topic, contact.key, orjson.dumps(event))
        self._outbox.send(delivery, plan.source, late=queue.late > 0, twice=queue.twice > 0)

    def _say_if(self, contact: Contact, stage: int, kind: str) -> None:
        """An event that was planned, if the contact is still where it was then."""
        if contact.stage == stage:
            self._say(kind, contact)

    def _say_of_queue(self, kind: str, queue: Queue, more: Wire) -> None:
        event = self._event(kind, queue.plan.source)
        event["queue"] = queue.plan.queue
        event.update(more)
        delivery = Delivery(self._now_ms, "queues", queue.key, orjson.dumps(event))
        self._outbox.send(delivery, queue.plan.source)


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
        if not number:
            return digits
