"""Break each check of OCI's pure part once and see a test fail: `python -m tests.mutants.oci [part of a path]`.

A survivor, or a row whose text is gone, ends with exit code 1.
"""

from __future__ import annotations

import sys
from typing import Final

from tests.lab.mutation import Mutant, run

ROOM: Final = "gateway/ecosystems"
ROUTES: Final = f"{ROOM}/oci_routes.py"
MANIFEST: Final = f"{ROOM}/oci_manifest.py"
EVIDENCE: Final = f"{ROOM}/oci_evidence.py"
ANSWERS: Final = f"{ROOM}/oci_answers.py"
WORDS: Final = f"{ROOM}/oci.py"
TESTS: Final = tuple(
    f"tests/unit/ecosystems/test_{module}.py"
    for module in ("oci_routes", "oci_manifest", "oci_evidence", "oci_answers", "oci")
)

MUTANTS: Final = (
    # routes
    Mutant(ROUTES, "head.method in _READS and not head.query else", "not head.query else"),
    Mutant(ROUTES, "head.method in _READS and not head.query else", "head.method in _READS else"),
    Mutant(ROUTES, "oci_name(repository), last)", "repository, last)"),
    Mutant(ROUTES, "    if digest.algorithm not in ALGORITHMS:\n", "    if False:\n"),
    Mutant(ROUTES, "len(text) > _LONGEST_TYPE or ", ""),
    Mutant(ROUTES, '    if last != "list":\n', "    if False:\n"),
    Mutant(ROUTES, "count is not None and _COUNT.fullmatch(count) is None", "False"),
    Mutant(ROUTES, "oci_tag(after) if after", "after if after"),
    Mutant(ROUTES, "wanted is None else read_media_type(wanted)", "wanted is None else wanted"),
    Mutant(ROUTES, "    if last:\n        return", "    if False:\n        return"),
    Mutant(ROUTES, "if source is not None and mount is None:", "if False:"),
    Mutant(ROUTES, "if digest is not None and mount is not None:", "if False:"),
    Mutant(ROUTES, "        read_digest(mount)  #", "        #"),
    Mutant(ROUTES, "source is None else oci_name(source)", "source is None else source"),
    Mutant(ROUTES, '_SESSION.fullmatch(last) is None or head.method == "HEAD"', 'head.method == "HEAD"'),
    Mutant(ROUTES, ' or head.method == "HEAD"', ""),
    Mutant(ROUTES, '    if (digest is None) is (head.method == "PUT"):\n', "    if False:\n"),
    Mutant(ROUTES, ' if name != "digest")', ")"),
    Mutant(ROUTES, "    if tags:\n", "    if False:\n"),
    Mutant(ROUTES, "tag=limits.TAGS_PER_PUSH", "tag=limits.TAGS_PER_PUSH + 1"),
    Mutant(ROUTES, "            if name not in most:\n", "            if False:\n"),
    Mutant(ROUTES, "if len(given.all(name)) > most[name]:", "if False:"),
    Mutant(ROUTES, "ours = name.lower() in _OURS", "ours = name in _OURS"),
    Mutant(ROUTES, 'not raw.startswith("digest=") or ', ""),
    Mutant(ROUTES, " or len(given.all(name)) > 1", ""),
    Mutant(ROUTES, "        if _QUERY.fullmatch(query) is None:\n", "        if False:\n"),
    # manifests
    Mutant(MANIFEST, "    if _SCHEMA_1 & document.keys():\n", "    if False:\n"),
    Mutant(MANIFEST, '    _one_spelling(document, _BOTH | _PARTS, "manifest")\n', ""),
    Mutant(MANIFEST, '"schemaVersion", int, "manifest") != 2', '"schemaVersion", int, "manifest") < 1'),
    Mutant(MANIFEST, "    _same_type(document, content_type)\n", ""),
    Mutant(MANIFEST, "said is None and content_type in {IMAGE, INDEX}", "said is None"),
    Mutant(MANIFEST, "        if foreign in document:\n", "        if document.get(foreign):\n"),
    Mutant(MANIFEST, '("manifests",) if', "() if"),
    Mutant(MANIFEST, 'else ("config", "layers")', 'else ("config",)'),
    Mutant(MANIFEST, 'else ("config", "layers")', 'else ("layers",)'),
    Mutant(MANIFEST, "    if child.media_type not in KINDS:\n", "    if False:\n"),
    Mutant(MANIFEST, '_FOREIGN: Final = (".foreign.", ', "_FOREIGN: Final = ("),
    Mutant(MANIFEST, '".nondistributable.")', ")"),
    Mutant(MANIFEST, "    _one_spelling(value, _DESCRIPTOR, about)\n", ""),
    Mutant(MANIFEST, '    if json.optional(value, "urls", list, about):\n', "    if False:\n"),
    Mutant(MANIFEST, "not 0 <= size <= _LARGEST", "size > _LARGEST"),
    Mutant(MANIFEST, "not 0 <= size <= _LARGEST", "size < 0"),
    Mutant(MANIFEST, "    if not media_type:\n", "    if False:\n"),
    Mutant(MANIFEST, "    _same_data(value, digest, size, about)\n", ""),
    Mutant(MANIFEST, "len(found) != size or not digest.matches(found)", "len(found) != size"),
    Mutant(MANIFEST, "return read_media_type(text) if text else", "return text if text else"),
    Mutant(MANIFEST, "    if len(found) > limits.ANNOTATIONS:\n", "    if False:\n"),
    Mutant(MANIFEST, "<= limits.ANNOTATIONS_LISTED else ()", "else ()"),
    Mutant(MANIFEST, "key.casefold() in folded", "key.lower() in folded"),
    # evidence
    Mutant(EVIDENCE, "    if len(manifest.layers) > limits.EVIDENCE_PER_DIGEST:\n", "    if False:\n"),
    Mutant(EVIDENCE, "blob.size > limits.EVIDENCE_BYTES for blob in found.blobs", "False for blob in ()"),
    Mutant(EVIDENCE, "return self.manifest.blobs if self.legacy else", "return"),
    Mutant(EVIDENCE, "len(body) != descriptor.size or ", ""),
    Mutant(EVIDENCE, " or not descriptor.digest.matches(body)", ""),
    Mutant(EVIDENCE, "    if not _says_nothing(", "    if False and not _says_nothing("),
    Mutant(EVIDENCE, "        manifest.subject is not None\n        and config", "        config"),
    Mutant(EVIDENCE, "        and config.media_type == EMPTY\n", ""),
    Mutant(EVIDENCE, '        and config.digest.matches(b"{}")\n', ""),
    Mutant(EVIDENCE, '        and config.size == len(b"{}")\n', ""),
    Mutant(
        EVIDENCE,
        "        and bool(manifest.layers)\n        and all(layer.media_type",
        "        and all(layer.media_type",
    ),
    Mutant(EVIDENCE, "and all(layer.media_type in BUNDLES", "and any(layer.media_type in BUNDLES"),
    Mutant(EVIDENCE, "        and manifest.config.media_type in _CONFIGS\n", ""),
    Mutant(
        EVIDENCE,
        "        and bool(manifest.layers)\n        and all(\n",
        "        and all(\n",
    ),
    Mutant(EVIDENCE, "        and all(\n            layer.", "        and any(\n            layer."),
    Mutant(EVIDENCE, " and _SIGNATURE in dict(layer.annotations)", ""),
    Mutant(EVIDENCE, '        "architecture": "",\n', '        "architecture": document.get("architecture"),\n'),
    Mutant(EVIDENCE, '        "config": {},\n', '        "config": document.get("config"),\n'),
    Mutant(EVIDENCE, '        "os": "",\n', '        "os": document.get("os"),\n'),
    Mutant(
        EVIDENCE,
        '{"type": "layers", "diff_ids": [str(layer.digest) for layer in manifest.layers]}',
        'document.get("rootfs")',
    ),
    Mutant(EVIDENCE, '        and all(entry.keys() <= {"created"} for entry in history)\n', ""),
    Mutant(
        EVIDENCE, "        and all(isinstance(moment, str) and _CREATED.fullmatch(moment) for moment in moments)\n", ""
    ),
    Mutant(EVIDENCE, "        common &= {stated.digest}\n", "        pass\n"),
    Mutant(EVIDENCE, "frozenset.intersection(*said)", "frozenset.union(*said)"),
    Mutant(EVIDENCE, "        if len(found) == 1:\n", "        if found:\n"),
    Mutant(EVIDENCE, "        _FALLBACK.fullmatch(tag) is not None\n        and manifest", "        manifest"),
    Mutant(EVIDENCE, "        and manifest.subject is None\n", ""),
    Mutant(EVIDENCE, "        and not manifest.artifact_type\n", ""),
    Mutant(EVIDENCE, "        and bool(manifest.children)\n", ""),
    # answers
    Mutant(ANSWERS, "if tag > request.last", "if tag >= request.last"),
    Mutant(ANSWERS, "0 < len(shown) < len(after)", "len(shown) < len(after)"),
    Mutant(ANSWERS, "if one.refers == request.digest", "if one"),
    Mutant(ANSWERS, "if wanted is None or one.artifact_type == wanted", "if one"),
    Mutant(ANSWERS, '.replace("\\\\", "\\\\\\\\")', ""),
    Mutant(ANSWERS, ".replace('\"', '\\\\\"')", ""),
    Mutant(ANSWERS, '.rstrip("\\\\")', ""),
    # the words, and the upload
    Mutant(WORDS, "reason.entry.status == status)", "reason)"),
    Mutant(WORDS, "        if status == 503:\n", "        if status == 500:\n"),
    Mutant(
        WORDS,
        '    Code.UPLOAD_MALFORMED: "MANIFEST_INVALID",\n',
        '    Code.UPLOAD_MALFORMED: "MANIFEST_INVALID",\n    Code.EVIDENCE_MISSING: "MANIFEST_INVALID",\n',
    ),
    Mutant(WORDS, ' if code == "MANIFEST_INVALID" and "/manifests/" not in head.path else code', " if False else code"),
    Mutant(WORDS, "len(fits) < limits.REASON_MESSAGE", "fits"),
    Mutant(WORDS, "(file,), movable=True)", "(file,))"),
    Mutant(WORDS, "for host in sorted(hosts))]", "for host in ())]"),
)


if __name__ == "__main__":
    sys.exit(run(MUTANTS, TESTS, *sys.argv[1:2]))
