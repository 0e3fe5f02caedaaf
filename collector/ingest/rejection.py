"""What is kept of a rejected event: enough to say why, whose it was, and to replay it once the plan has been mended."""

from __future__ import annotations

from collector.enrichment.enrich import TEXT_CHARS_MAX, without_secrets
from collector.enrichment.identity import message_id
from collector.ingest.judge import Judge, Unfit, identifier
from collector.limits import MESSAGE_ID_CHARS_MAX, NAME_CHARS_MAX
from collector.plan.page import PageHandling
from collector.plan.pii import fields_of, mask_detected, object_of, repeats
from collector.reason import Rejected
from collector.record import Envelope, FailedRow
from collector.wire.malformed import Malformed
from collector.wire.names import Name, name_of


def failed_row(judge: Judge, envelope: Envelope, rejected: Rejected, raw: bytes) -> FailedRow:
    """The row of one rejected event.

    Args:
        judge: Of its batch.
        envelope: The event, as far as it could be read.
        rejected: Why.
        raw: Its own bytes.
    """
    request, tools = judge.request, judge.tools
    sent_id = (envelope.messageId or "")[:MESSAGE_ID_CHARS_MAX]
    visitor_id, environment, violations = identifier(envelope.anonymousId), request.environment, []
    if isinstance(rejected, Unfit):
        visitor_id, environment = rejected.visitor_id, rejected.environment
        violations = [violation.word() for violation in rejected.checked.violations]
    if isinstance(rejected, Malformed):
        violations = rejected.violations
    name = name_of(envelope)
    planned = tools.plan.find(name.event, name.major) if isinstance(rejected, Unfit) else None
    handling = judge.page_handling(planned)
    context = judge.context_of(envelope).text
    return FailedRow(
        message_id=sent_id or message_id(request.received_ms, tools.random(10)),
        type=envelope.type[:64],
        event=(envelope.event or name.event)[:NAME_CHARS_MAX],
        source_id=request.source_id,
        visitor_id=visitor_id,
        user_id=identifier(envelope.userId),
        sent_at=judge.sent_ms(envelope),
        received_at=request.received_ms,
        reason=rejected.reason.word,
        pointer=rejected.pointer,
        fix=rejected.fix,
        violations=violations or [f"{rejected.reason.word}:{rejected.pointer}"],
        user_agent=request.user_agent[:TEXT_CHARS_MAX],
        country=judge.country_of(envelope),
        plan_version=tools.plan.version,
        context=context if handling is None else handling.context(context),
        raw=without_secrets(_handled_raw(judge, rejected, name, handling, raw)).decode("utf-8", "backslashreplace"),
        environment=environment,
        plan_hash=tools.plan.hash,
        sent_with="server" if request.is_server else "browser",
    )


def _handled_raw(judge: Judge, rejected: Rejected, name: Name, handling: PageHandling | None, raw: bytes) -> bytes:
    """A rejected event's own bytes, with its personal data handled as if it had been accepted."""
    if judge.handled:
        return raw
    plan = judge.tools.plan
    sent = fields_of(raw)
    if sent is None:
        return plan.kept_bytes(raw)
    fields = dict(sent)
    checked = rejected.checked if isinstance(rejected, Unfit) else None
    if "properties" in fields:
        own = plan.kept(name.event, name.major, fields["properties"]) if checked is None else checked.properties
        fields["properties"] = fields["properties"] if own is None else own
    in_extra = checked is not None and any(found.pointer.startswith("/extra/") for found in checked.violations)
    if "extra" in fields and in_extra:
        fields["extra"] = mask_detected(fields["extra"]) or b"null"
    if "context" in fields and handling is not None:
        fields["context"] = handling.raw_context(fields["context"])
    if fields == sent and not repeats(raw, ("properties", "context", "extra")):
        return raw
    return object_of(fields)
