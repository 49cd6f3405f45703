"""`POST /-/evidence`: the locker, where evidence waits for the artifact it speaks for (CONTRACTS C.12).

The sender names the digests, `?digest=sha256:...` (repeatable). Evidence that verifies under no configured root, or
that covers none of the digests it is sent for, is refused and not kept; the link of a layout's earlier step covers none
and is kept. Whether it counts for an upload is decided when the upload comes, by the packages that the sender's grant
may attach to.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import parse_qsl

from gateway import limits
from gateway.ecosystems.protocol import Head, Reply
from gateway.ecosystems.rendering import lines, phrase, status_of
from gateway.errors import Malformed, StoreError, TooLarge
from gateway.model.case import Action
from gateway.model.digest import STRONG, Digest
from gateway.model.evidence import Evidence, EvidenceRef, Finding, Format, Source
from gateway.proxy.authenticate import Authenticator
from gateway.publish.body import whole
from gateway.publish.evidence import against
from gateway.publish.publish import Publisher
from gateway.publish.served import Trust
from gateway.publish.surroundings import Surroundings
from gateway.publish.verifying import in_turn
from gateway.reasons import Code, Reason
from gateway.verification import detect, verify, verify_links

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Locker:
    """Takes evidence in; `came` is told what it is for: an image may wait for it."""

    authenticator: Authenticator
    publisher: Publisher
    around: Surroundings
    public_url: str
    came: Callable[[Sequence[Digest]], Awaitable[None]]

    async def __call__(self, head: Head, body: AsyncIterator[bytes]) -> Reply:
        """Answer one request to the locker's address."""
        if head.method != "POST":
            return self._refusal(Reason(Code.METHOD_UNKNOWN, f"{head.method} /-/evidence", "POST"))
        if any(name.lower() == "content-encoding" for name, _ in head.headers):
            return self._refusal(Reason(Code.CONTENT_ENCODING, "Content-Encoding", "none"))
        try:
            return await self._sent(head, body)
        except TooLarge as error:
            return self._refusal(Reason(Code.UPLOAD_TOO_LARGE, error.about, f"at most {error.limit}"))
        except Malformed as error:
            return self._refusal(Reason(Code.UPLOAD_MALFORMED, error.about, got=error.problem))
        except StoreError as error:
            log.error("record: %s", error)  # noqa: TRY400 - one line, no traceback
            return self._refusal(Reason(Code.RECORD_UNAVAILABLE, "the gateway's record"))

    async def _sent(self, head: Head, body: AsyncIterator[bytes]) -> Reply:
        now = self.around.now()
        grant = await self.authenticator.grant(head, None, None, Action.ATTACH, now)
        if isinstance(grant, Reason):
            return self._refusal(grant)
        digests = _digests(head.query)
        sent = await whole(body, "the evidence", limits.EVIDENCE_BYTES)
        form = await in_turn(partial(detect, sent))
        evidence = Evidence(EvidenceRef(hashlib.sha256(sent).hexdigest(), form, Source.LOCKER), sent)
        beside = await self._sublayouts(digests) if form.judged_together else ()
        verified = partial(_verified, evidence, beside, digests, self.publisher.trust, now)
        findings = await in_turn(verified, together=form.judged_together)
        if reasons := against(findings, digests):
            return self._refusal(*reasons)
        if not await self.authenticator.store.put_evidence(evidence, digests, grant.id, now):
            limit = f"at most {limits.EVIDENCE_PER_DIGEST} pieces for one digest from one credential"
            return self._refusal(Reason(Code.EVIDENCE_LIMIT, "the locker", limit))
        await self.came(digests)
        answer = json.dumps({"id": evidence.ref.id}).encode()
        return Reply(201, "Created", answer, (("Content-Type", "application/json"),))

    async def _sublayouts(self, digests: tuple[Digest, ...]) -> tuple[Evidence, ...]:
        """What was kept before and may name who signs a link."""
        kept = await self.authenticator.store.evidence_for(digests)
        return tuple(one for one, _ in kept if one.ref.format is Format.LAYOUT)

    def _refusal(self, *reasons: Reason) -> Reply:
        link = f"{self.public_url}/-/reasons/{reasons[0].code.value}"
        status = status_of(reasons)
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]
        if status == 401:
            headers.append(("WWW-Authenticate", 'Bearer realm="provgate"'))
        if status == 503:
            headers.append(("Retry-After", "30"))
        return Reply(status, phrase(reasons, link), lines(reasons, link).encode("ascii"), tuple(headers))


def _verified(
    evidence: Evidence, beside: tuple[Evidence, ...], digests: tuple[Digest, ...], trust: Trust, now: datetime
) -> tuple[Finding, ...]:
    if beside:
        found = verify_links((evidence, *beside), trust.roots, [digests], now)
        return tuple(one for one in found if one.evidence == evidence.ref)
    return verify(
        evidence,
        trust.roots,
        [digests],
        now,
        allow_sandbox=trust.allow_sandbox,
        second_opinion=trust.second_opinion,
    )


def _digests(query: str) -> tuple[Digest, ...]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=limits.EVIDENCE_DIGESTS)
    except ValueError:
        raise TooLarge("the query", f"{limits.EVIDENCE_DIGESTS} digests") from None
    found = []
    for name, value in pairs:
        if name != "digest":
            raise Malformed(f"query parameter {name}", "only digest is known")
        digest = Digest.parse(value)
        if digest.algorithm not in STRONG:
            raise Malformed("query parameter digest", f"expected one of {', '.join(sorted(STRONG))}")
        found.append(digest)
    if not found:
        raise Malformed("query parameter digest", "at least one is needed")
    return tuple(sorted(set(found)))
