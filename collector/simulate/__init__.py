"""Synthetic visitors of the demo shop: `footfall demo --simulate N`.

    world (tables) --> people (events, from a seed) --> driver (POST /v1/batch with a server key)

The same count, seed and now give the same events to the byte, message ids included, so driving twice stores once.
"""

from collector.simulate.driver import DriveError, Driven, drive
from collector.simulate.people import visitors

__all__ = ["DriveError", "Driven", "drive", "visitors"]
