"""What is looked at once more before what was accepted is carried out: its grant, its waivers, and its names."""

from __future__ import annotations

from gateway.model.case import Grant
from gateway.model.intent import IntentFile, Record
from gateway.reasons import Code, Reason
from gateway.store import Cause, Conflict, Store


async def withdrawn(store: Store, grant: Grant) -> Reason | None:
    """Whether the grant was revoked since the request came: a long upload must not outlive its token."""
    if await store.grant_by_id(grant.id) is not None:
        return None
    return Reason(Code.CREDENTIAL_INVALID, f"token {grant.id}", "a token that is not revoked", "revoked")


async def take_uses(store: Store, grant: Grant, record: Record) -> Reason | None:
    """Use up what may be used only so often: the grant's uses, and the waivers that the decision rests on."""
    for waiver in record.decision.waivers:
        if not await store.use_waiver(waiver, record.id, record.at):
            return Reason(Code.PUBLISH_UNSETTLED, f"waiver {waiver}", "unused", "used by another publish")
    if grant.uses_left is not None and not await store.use_grant(grant.id):
        return Reason(Code.CREDENTIAL_EXPIRED, f"token {grant.id}", "a use left", "none")
    return None


def in_the_way(conflict: Conflict, file: IntentFile) -> Reason:
    """Why the names of an upload cannot be reserved."""
    match conflict.cause:
        case Cause.BOUND:
            return Reason(Code.VERSION_EXISTS, file.name, f"sha256:{conflict.sha256}", f"sha256:{file.sha256}")
        case Cause.REVOKED:
            return Reason(Code.DIGEST_REVOKED, file.name, got=f"sha256:{file.sha256}")
        case Cause.ENDED:
            return Reason(Code.PUBLISH_UNSETTLED, file.name, "a hold that has not ended", "ended")
        case Cause.OPEN | Cause.DAMAGED:
            return Reason(Code.PUBLISH_UNSETTLED, file.name, "no other publish of this name", conflict.cause.value)
