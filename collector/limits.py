"""What one request may hold, in one place: whatever is longer is refused, rejected or cut, and told so."""

from __future__ import annotations

BODY_BYTES_MAX = 512_000  # Segment's own limit is 500 KB a batch: whatever its clients send fits
EVENT_BYTES_MAX = 32_768  # and 32 KB an event
EVENTS_MAX = 2_500
QUERY_BYTES_MAX = 8_192
PARAMETERS_MAX = 200  # of a pixel's query; more than any page states
NAME_CHARS_MAX = 256
ID_CHARS_MAX = 256
MESSAGE_ID_CHARS_MAX = 100
COMPRESSED_PARTS_MAX = 100  # gzip members or zstd frames of one body; each costs some microseconds, however small
ZSTD_WINDOW_LOG_MAX = 23  # 8 MB, the most that a server has to take (RFC 9659)
