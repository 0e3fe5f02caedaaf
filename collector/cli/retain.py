"""The settings of retention, brought into force."""

from __future__ import annotations

from collector.config import Settings
from collector.database.retention import apply_retention, read_rules
from collector.database.store import Store


def retain(store: Store, settings: Settings) -> list[str]:
    """Give the tables the TTL that the settings ask for; say what was changed. Raises RetentionError, StoreError."""
    return apply_retention(store, read_rules(settings.retention), settings.retention_failed_days)
