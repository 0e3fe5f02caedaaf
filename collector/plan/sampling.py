"""Which events are kept of those that the plan samples: a hash decides, so that it is the same everywhere and again."""

from __future__ import annotations

import hashlib

from collector.plan.model import Sampling

_WHOLE = 2**64


def kept(sampling: Sampling, visitor_id: str, message_id: str) -> bool:
    """Is this event in the sample?

    By visitor the hash is that of the visitor alone: whoever is in a sample of a tenth is in every larger one, whatever
    the event, so that funnels stay whole. By event it is that of the id, the same for every retry.
    """
    key = visitor_id if sampling.by == "visitor" else message_id
    digest = hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=8, person=b"sampling").digest()
    return int.from_bytes(digest, "big") < sampling.rate * _WHOLE
