"""An event's way from its envelope to a spooled row, or to a rejection that says why."""
