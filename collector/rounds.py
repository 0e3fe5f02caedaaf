"""What a thread of the store process does again and again until it is told to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable


def rounds(
    look: Callable[[], object],
    seconds: float,
    stop: threading.Event,
    log: logging.Logger,
    failing: str,
    *,
    known: type[Exception] | tuple[type[Exception], ...],
    seconds_max: float,
    at_once: bool = False,
) -> None:
    """Look every so many seconds until `stop` is set; after failures ever more seldom. Raises nothing.

    Args:
        failing: What a failure means to the operator, for the log: "the spool cannot be pressed".
        known: Failures that say all there is to say; of others the log shows where they came from.
        seconds_max: The longest pause after failures.
        at_once: Whether to look before the first pause, too.
    """
    pause = 0.0 if at_once else seconds
    while not stop.wait(pause):
        try:
            look()
            pause = seconds
        except Exception as error:
            # Whatever it is: the thread must not end in silence.
            pause = min(max(pause, seconds) * 2, seconds_max)
            log.warning("%s, trying again in %.0f s: %s", failing, pause, error, exc_info=not isinstance(error, known))
