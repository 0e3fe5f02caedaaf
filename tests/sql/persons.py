"""Who is who, by union-find and by walking through events: what the views on persons must find, from their headers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sql.oracle import by_visitor, cut, people

Row = dict[str, Any]
Moment = tuple[int, int, str, str, str]

NO_IDS = {"", "null", "guest", "undefined"}


def place(event: Row) -> Moment:
    """The place of an alias call in the order of all."""
    return (event["event_time"], event["sequence"], event["message_id"], event["user_id"], event["previous_id"])


class Who:
    """The persons of some events."""

    def __init__(self, events: Iterable[Row]) -> None:
        self.events = people(events)
        self.histories = by_visitor(self.events)
        calls = sorted(
            (
                event
                for event in self.events
                if event["type"] == "alias"
                and event["user_id"] != event["previous_id"]
                and not {event["user_id"].lower(), event["previous_id"].lower()} & NO_IDS
            ),
            key=place,
        )
        self.of_visitors = [call for call in calls if (call["source_id"], call["previous_id"]) in self.histories]
        self.of_users = [call for call in calls if (call["source_id"], call["previous_id"]) not in self.histories]
        self.names = self._joined()
        self.turns: dict[tuple[str, str], list[tuple[int, int, str, str]]] = defaultdict(list)
        for event in self.events:
            if event["user_id"]:
                self.turns[event["source_id"], event["visitor_id"]].append((*place(event)[:3], event["user_id"]))
        for call in self.of_visitors:
            self.turns[call["source_id"], call["previous_id"]].append((*place(call)[:3], call["user_id"]))

        for turns in self.turns.values():
            turns.sort()

    def _joined(self) -> dict[tuple[str, str], str]:
        """Of each user id that an alias call names: the name in use, by union-find."""
        parent: dict[tuple[str, str], tuple[str, str]] = {}

        def root(node: tuple[str, str]) -> tuple[str, str]:
            while parent.setdefault(node, node) != node:
                parent[node] = parent[parent[node]]
                node = parent[node]
            return node

        for call in self.of_users:
            source = call["source_id"]
            parent[root((source, call["previous_id"]))] = root((source, call["user_id"]))
        newest = {root((call["source_id"], call["user_id"])): call["user_id"] for call in self.of_users}
        return {node: newest[root(node)] for node in list(parent)}

    def of_user(self, source: str, user: str) -> str:
        """The person of a user id."""
        return f"user:{self.names.get((source, user), user)}"

    def of_device(self, source: str, visitor: str, at: int) -> str:
        """Whose device a visitor was: who signed in last at or before that millisecond, else who came first."""
        turns = self.turns.get((source, visitor), [])
        if not turns:
            return f"visitor:{visitor}"
        signed_in = [turn for turn in turns if turn[0] <= at]
        if signed_in:
            return self.of_user(source, signed_in[-1][3])
        # Of the first millisecond the last one.
        return self.of_user(source, [turn for turn in turns if turn[0] == turns[0][0]][-1][3])

    def of_event(self, event: Row) -> str:
        """The person of an event."""
        if event["user_id"]:
            return self.of_user(event["source_id"], event["user_id"])
        return self.of_device(event["source_id"], event["visitor_id"], event["event_time"])

    def of_visit(self, visit: list[Row]) -> str:
        """The person of a session."""
        users = [event["user_id"] for event in visit if event["user_id"]]
        last = visit[-1]
        if users:
            return self.of_user(last["source_id"], users[-1])
        return self.of_device(last["source_id"], last["visitor_id"], last["event_time"])

    def histories_of_persons(self) -> dict[tuple[str, str], list[Row]]:
        """The events of each (source_id, person_id), in no order."""
        found: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for event in self.events:
            found[event["source_id"], self.of_event(event)].append(event)
        return found

    def visits_of_persons(self) -> dict[tuple[str, str], list[list[Row]]]:
        """The sessions of each (source_id, person_id), in order."""
        found: dict[tuple[str, str], list[list[Row]]] = defaultdict(list)
        for (source, _), history in self.histories.items():
            for visit in cut(history):
                found[source, self.of_visit(visit)].append(visit)
        for visits in found.values():
            visits.sort(key=lambda visit: (visit[0]["event_time"], visit[0]["visitor_id"]))
        return found

    def changes(self) -> dict[tuple[str, str, str, str], list[tuple[str | None, int]]]:
        """Of each (source, kind, id, trait): the values it had, and since when."""
        said: dict[tuple[str, str, str, str], list[tuple[Any, str | None]]] = defaultdict(list)
        for event in self.events:
            if event["type"] == "identify":
                key = (event["source_id"], "person", self.of_event(event))
            elif event["type"] == "group" and event["group_id"]:
                key = (event["source_id"], "group", event["group_id"])
            else:
                continue
            for trait, value in json.loads(event["traits"]).items():
                text = value if value is None or isinstance(value, str) else json.dumps(value, separators=(",", ":"))
                said[*key, trait].append(((*place(event)[:3], event["visitor_id"]), text))
        found: dict[tuple[str, str, str, str], list[tuple[str | None, int]]] = {}
        for trait_of, statements in said.items():
            kept: list[tuple[str | None, int]] = []
            for at, text in sorted(statements, key=lambda statement: statement[0]):
                if text != (kept[-1][0] if kept else None):
                    kept.append((text, at[0]))
            if kept:
                found[trait_of] = kept
        return found
