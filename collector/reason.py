"""Why something was refused. One exit for refusals: a Reason knows its HTTP status, its counter and its column value.

Request reasons refuse a whole body (nothing of it is stored, the client is told why). Event reasons reject one event of
a readable body: the answer stays 200, the event is kept in `failed_events`, and its neighbours are stored.
"""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """Each member is (word, HTTP status, event?). The word is what SQL, metrics and answers show."""

    NOT_HTTP = ("not_http", 400)
    NOT_JSON = ("not_json", 400)
    BODY_EMPTY = ("body_empty", 400)
    NOT_A_BATCH = ("not_a_batch", 400)
    BAD_QUERY = ("bad_query", 400)
    BAD_COMPRESSION = ("bad_compression", 400)
    KEY_MISSING = ("key_missing", 401)
    KEY_UNKNOWN = ("key_unknown", 401)
    SOURCE_DISABLED = ("source_disabled", 403)
    ORIGIN_NOT_ALLOWED = ("origin_not_allowed", 403)
    LINK_INVALID = ("link_invalid", 403)
    NOT_FOUND = ("not_found", 404)
    METHOD_NOT_ALLOWED = ("method_not_allowed", 405)
    HEAD_TOO_SLOW = ("head_too_slow", 408)
    BODY_TOO_SLOW = ("body_too_slow", 408)
    BODY_TOO_LARGE = ("body_too_large", 413)
    URL_TOO_LONG = ("url_too_long", 414)
    WRONG_CONTENT_TYPE = ("wrong_content_type", 415)
    WRONG_ENCODING = ("wrong_encoding", 415)
    RATE_LIMITED = ("rate_limited", 429)
    HEADERS_TOO_LARGE = ("headers_too_large", 431)
    INTERNAL = ("internal", 500)
    TOO_BUSY = ("too_busy", 503)
    SPOOL_UNAVAILABLE = ("spool_unavailable", 503)

    EVENT_NOT_OBJECT = ("event_not_object", 200)
    EVENT_TYPE_UNKNOWN = ("event_type_unknown", 200)
    EVENT_NAME_MISSING = ("event_name_missing", 200)
    EVENT_FIELD_INVALID = ("event_field_invalid", 200)
    EVENT_TOO_LARGE = ("event_too_large", 200)
    EVENT_VERSION_UNKNOWN = ("event_version_unknown", 200)
    UNKNOWN_EVENT = ("unknown_event", 200)
    UNKNOWN_PROPERTY = ("unknown_property", 200)
    MISSING_REQUIRED = ("missing_required", 200)
    WRONG_TYPE = ("wrong_type", 200)
    CONSTRAINT = ("constraint", 200)
    SUNSET_VERSION = ("sunset_version", 200)
    UNDECLARED_PII = ("undeclared_pii", 200)

    def __init__(self, word: str, status: int) -> None:
        self.word = word
        self.status = status

    @property
    def rejects_event(self) -> bool:
        """True when this rejects one event rather than refusing a whole request."""
        return self.status == 200


class Refused(Exception):
    """A whole request is refused. `sentence` says what happened, the limit, and what to do."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


class Rejected(Exception):
    """One event is rejected. `pointer` is a JSON pointer into the event; `fix` one sentence that says what to do."""

    def __init__(self, reason: Reason, pointer: str, fix: str) -> None:
        super().__init__(fix)
        self.reason = reason
        self.pointer = pointer
        self.fix = fix
