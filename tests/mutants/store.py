"""Break each rule of content, tags and holds once and see a test fail: `python -m tests.mutants.store [a file]`.

A survivor, or a row whose text is gone, ends with exit code 1.
"""

from __future__ import annotations

import sys
from typing import Final

from tests.lab.mutation import Mutant, run

TESTS: Final = ("tests/unit/store/test_contents.py", "tests/unit/store/test_holds.py")
ROWS: Final = "gateway/store/sqlite"

MUTANTS: Final = (
    # what is shown
    Mutant(f"{ROWS}/contents.py", "if noted is None or (content.links and not read):", "if noted is None:"),
    Mutant(f"{ROWS}/contents.py", "if noted is None or (content.links and not read):", "if True:"),
    Mutant(f"{ROWS}/contents.py", "sha256 or content.sha256,", "sha256,"),
    Mutant(f"{ROWS}/contents.py", "noted or to_column(at),", "to_column(at),"),
    Mutant(f"{ROWS}/contents.py", "if content.links or content.sha256 != sha256:", "if False:"),
    Mutant(f"{ROWS}/contents.py", "if content.subject is not None and _subject(connection, seq) is None:", "if False:"),
    Mutant(
        f"{ROWS}/contents.py",
        "if content.subject is not None and _subject(connection, seq) is None:",
        "if content.subject is not None:",
    ),
    Mutant(
        f"{ROWS}/contents.py",
        "        )\n        _reconsider(connection, [seq])",
        "        )",
    ),
    Mutant(f"{ROWS}/contents.py", "        return Sight.HIDDEN\n    row =", "        pass\n    row ="),
    Mutant(f"{ROWS}/contents.py", "Sight.HIDDEN if ours else Sight.UNKNOWN", "Sight.HIDDEN"),
    Mutant(f"{ROWS}/contents.py", "SELECT shown, noted IS NOT NULL FROM", "SELECT shown, 1 FROM"),
    Mutant(
        f"{ROWS}/contents.py",
        '"UPDATE contents SET accepted = 1 WHERE sha256 = ? AND registry = ? AND',
        "\"UPDATE contents SET accepted = 1 WHERE sha256 = ? AND ? <> '' AND",
    ),
    Mutant(
        f"{ROWS}/contents.py",
        "    _reconsider(connection, [seq for (seq,) in rows.fetchall()])\n\n\ndef drop",
        "    rows.fetchall()\n\n\ndef drop",
    ),
    Mutant(
        f"{ROWS}/contents.py",
        "DELETE FROM links WHERE child = ? AND position = ?",
        "DELETE FROM links WHERE child = ? AND position > ?",
    ),
    Mutant(
        f"{ROWS}/contents.py",
        "        _reconsider(connection, [seq])\n        return str(sha256)",
        "        return str(sha256)",
    ),
    Mutant(f"{ROWS}/contents.py", "WHERE below.shown AND contents.shown", "WHERE FALSE"),
    Mutant(f"{ROWS}/contents.py", "json_each(?1)) AND NOT {_REVOKED}", "json_each(?1))"),
    Mutant(f"{ROWS}/contents.py", "contents.shown < links.shows AND NOT {_REVOKED}", "contents.shown < links.shows"),
    Mutant(f"{ROWS}/contents.py", "WHERE raised.shown = ?2 AND", "WHERE"),
    Mutant(f"{ROWS}/contents.py", "contents.seq AND parents.shown = ?2", "contents.seq AND parents.shown"),
    Mutant(f"{ROWS}/contents.py", "WHOLE if digest in content.children else BYTES", "WHOLE"),
    Mutant(f"{ROWS}/contents.py", "(WHOLE if manifest else BYTES)", "BYTES"),
    Mutant(
        f"{ROWS}/contents.py",
        '"UPDATE contents SET shown = 0 WHERE seq IN',
        '"UPDATE contents SET shown = shown WHERE seq IN',
    ),
    Mutant(f"{ROWS}/history.py", "    contents.withdrawn(connection, sha256)\n", ""),
    Mutant(f"{ROWS}/store.py", "        self._version += 1\n", ""),
    # tags
    Mutant(f"{ROWS}/tags.py", "UPDATE names SET bound = 0 WHERE", "UPDATE names SET bound = bound WHERE"),
    Mutant(f"{ROWS}/tags.py", " AND canonical = ? AND intent IS NULL", " AND canonical = ?"),
    Mutant(f"{ROWS}/tags.py", "canonical < ? AND bound", "canonical < ?"),
    Mutant(f"{ROWS}/tags.py", "if name.startswith(start)", ""),
    # names that move
    Mutant(f"{ROWS}/publishes.py", "if sha256 != file.sha256 and not intent.movable:", "if sha256 != file.sha256:"),
    Mutant(f"{ROWS}/publishes.py", "if sha256 != file.sha256 and not intent.movable:", "if False:"),
    Mutant(f"{ROWS}/publishes.py", "coalesce(intent_files.sha256, names.sha256)", "names.sha256"),
    Mutant(f"{ROWS}/publishes.py", "if intent.hold is not None and (", "if False and ("),
    Mutant(f"{ROWS}/publishes.py", " is None or held.ended)", " is None)"),
    Mutant(f"{ROWS}/publishes.py", "            holds.end_with(connection, intent_id, at)\n", ""),
    Mutant(
        f"{ROWS}/publishes.py",
        "enforced = coalesce(enforced, iif(intents.observed, NULL, ?))",
        "enforced = iif(intents.observed, NULL, ?)",
    ),
    Mutant(f"{ROWS}/publishes.py", "SET seq = (SELECT max(seq) + 1 FROM published), ", "SET "),
    # holds
    Mutant(f"{ROWS}/holds.py", " WHERE id = ? AND ended IS NULL", " WHERE id = ?"),
    Mutant(f"{ROWS}/holds.py", " AND NOT names.damaged AND", " AND"),
    Mutant(f"{ROWS}/holds.py", " AND intent_files.sha256 = holds.sha256)", ")"),
    Mutant(f"{ROWS}/holds.py", "coalesce(released.opened, intents.opened)", "intents.opened"),
    Mutant(f"{ROWS}/holds.py", "AND holds.opened <= ended_by.opened", ""),
    Mutant(f"{ROWS}/holds.py", "AND holds.opened <= ended_by.opened", "AND holds.opened < ended_by.opened"),
    Mutant(f"{ROWS}/holds.py", "WHEN ended_by.sha256 = holds.sha256 THEN", "WHEN TRUE THEN"),
    Mutant(
        f"{ROWS}/holds.py",
        "WHERE holds.ended IS NULL AND holds.registry = ended_by.registry",
        "WHERE holds.ended IS NULL",
    ),
    Mutant(f"{ROWS}/holds.py", "WHERE holds.ended IS NULL AND holds.registry", "WHERE holds.registry"),
)


if __name__ == "__main__":
    sys.exit(run(MUTANTS, TESTS, *sys.argv[1:2]))
