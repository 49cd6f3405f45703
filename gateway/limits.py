"""Every bound of the program in one place: name, value, unit, and where the number comes from.

A bound that a client meets is answered with a code of the catalogue, never with a traceback. Bounds count bytes
unless their name says otherwise.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

# --- HTTP ---------------------------------------------------------------------------------------------------------
HEADER_LINE: Final = 8190  # aiohttp's own default; nginx's and Apache's are 8 KiB too
HEADERS_TOTAL: Final = 64 * KIB  # Warehouse's front allows 64 KiB
HEAD_SECONDS: Final = 30.0  # for the first request head of a connection
KEEPALIVE_SECONDS: Final = 75.0  # nginx's default; also bounds a slow second request head
DRAIN_AFTER_REFUSAL: Final = 64 * MIB  # an early close gave npm a reset instead of the reason (FACTS-PYPI-NPM 3)
DRAIN_SECONDS: Final = 20.0
BODY_IDLE_SECONDS: Final = 60.0  # between two reads of one request's body
ANSWER_IDLE_SECONDS: Final = 60.0  # a client must take some 48 KiB of its answer within this; nginx's send_timeout
READ_BUFFER: Final = 256 * KIB  # per connection, before the kernel holds the sender back
CHUNK: Final = 1 * MIB  # one hop to a thread per MiB costs 1 % (FACTS-LIBRARIES: spool)

# --- An upload ----------------------------------------------------------------------------------------------------
UPLOAD_FILE: Final = 4 * GIB  # default; PyPI's own is 100 MiB, private registries hold model and CUDA wheels
FORM_FIELDS: Final = 1024  # count; a twine upload with every classifier has some 300
FORM_FIELD: Final = 4 * MIB  # one field; a description is the largest, PyPI's limit for a whole METADATA is similar
FORM_TOTAL: Final = 16 * MIB  # all fields but the file
PART_HEADERS: Final = 8 * KIB
SPOOL_TOTAL: Final = 64 * GIB  # default, all publishes at once
SPOOL_PER_GRANT: Final = 16 * GIB  # default
SIMULTANEOUS_WAIT_SECONDS: Final = 60.0  # the second of two publishes of one file name waits this long

# --- Images -------------------------------------------------------------------------------------------------------
ACCESS_TOKEN_SECONDS: Final = 300  # docker's own server gives this; clients take less than 60 for 60
TOKEN_FORM: Final = 64 * KIB
TOKEN_PARAMETERS: Final = 64  # count
MANIFEST_CACHE: Final = 32 * MIB  # manifests kept in memory; one has some KiB
MANIFEST_CACHE_SECONDS: Final = 60.0  # a manifest that was deleted behind the gateway's back is served so long
MISSES: Final = 4096  # count of manifests that nothing accepted holds, remembered so that they are told once
SIGHTS: Final = 65_536  # count of answers of the record that are kept while nothing is written
TAG_PAGES: Final = 64  # count; docker-registry gives all in one
TAGS_PAGE: Final = 1000  # count, asked for in one page
TOKEN_SCOPES: Final = 16  # count; a push asks for its repository and those it mounts from; all must fit one header

# --- Archives -----------------------------------------------------------------------------------------------------
ARCHIVE_ENTRIES: Final = 250_000  # count; the largest wheels seen on PyPI have some 60,000
ARCHIVE_EXPANDED: Final = 64 * GIB
ARCHIVE_RATIO: Final = 1032  # deflate's own maximum is 1032:1; more is a lie in the header
SDIST_RATIO: Final = 200  # expanded / compressed, past the first 64 MiB
ARCHIVE_DIRECTORY: Final = 64 * MIB  # a ZIP's central directory; 250,000 entries of 100-byte names are some 40 MiB
ARCHIVE_RECORD: Final = 64 * MIB  # a wheel's RECORD; a line is a name, a digest and a size
ARCHIVE_EXTENSION: Final = 64 * KIB  # one pax or GNU extended header; one with attributes has some KiB
ARCHIVE_METADATA: Final = 4 * MIB  # METADATA or PKG-INFO
ARCHIVE_NAME: Final = 4096  # one entry's name; PATH_MAX

# --- Evidence -----------------------------------------------------------------------------------------------------
EVIDENCE_PER_REQUEST: Final = 16  # count; PyPI allows one per predicate type, of two types
EVIDENCE_BYTES: Final = 1 * MIB  # one bundle; npm's and GitHub's are 6 to 30 KiB
EVIDENCE_FILE_BYTES: Final = 8 * MIB  # a `.jsonl` file on the command line, with some pieces of that size
EVIDENCE_PER_DIGEST: Final = 32  # count, per credential and digest in the locker
EVIDENCE_DIGESTS: Final = 16  # count, that one piece is put into the locker under
EVIDENCE_SECONDS: Final = 10.0  # verification budget of one publish
SWITCH_SECONDS: Final = 0.0005  # a thread may hold Python's lock so long while the event loop waits; 20 us to hand over
JSON_DEPTH: Final = 64
JSON_TOKENS: Final = 65_536  # count; values in one document, or one in `JSON_TOKEN` bytes of what it may be long
JSON_TOKEN: Final = 16  # bytes; GitHub's and npm's bundles have over 100 for each value, a dense SBOM some 30
JSON_NUMBER_DIGITS: Final = 32  # proto-JSON's int64 has 19
STATEMENT_SUBJECTS: Final = 1024  # count; the largest release seen attests some 300 files
SIGNATURES: Final = 8  # count, in one envelope
LOG_ENTRIES: Final = 8  # count, in one bundle
TIMESTAMPS: Final = 8  # count, in one bundle
CERTIFICATES: Final = 10  # count, in one chain
CHECKPOINT_SIGNATURES: Final = 16  # count, witnesses included; C2SP's own implementations allow 100
SIGNATURE_BYTES: Final = 16 * KIB  # one signature; RSA-8192 has 1 KiB, SLH-DSA 8 to 50 KB
INCLUSION_HASHES: Final = 64  # count; a log of 2^64 entries
LAYOUT_STEPS: Final = 64  # count; the published in-toto layouts have 3 to 10
LAYOUT_KEYS: Final = 256  # count; the functionaries of one layout
LAYOUT_RULES: Final = 256  # count, of a step's materials or products
LAYOUT_CHOICES: Final = 64  # count; ways to choose among functionaries who disagree
LAYOUT_DEPTH: Final = 3  # count; a layout, its sublayouts, and theirs
SUBLAYOUTS: Final = 8  # count, under one layout at all depths
TRUST_ROOT_BYTES: Final = 4 * MIB  # one trusted root; public good has 7 KiB, GitHub's 30 KiB
TRUST_ROOT_ITEMS: Final = 64  # count, of one sort; GitHub's root has 6 generations of each
CLOCK_SKEW_SECONDS: Final = 60  # a proved time may be this far ahead of ours (CONTRACTS C.7)

# --- OCI ----------------------------------------------------------------------------------------------------------
MANIFEST_BYTES: Final = 4 * MIB  # what the distribution specification asks registries to take at least
MANIFEST_LINKS: Final = 4096  # count of layers or children; overlayfs ends at 128, an artifact has one layer a file
ANNOTATIONS: Final = 1024  # count, of one manifest or descriptor; buildx's have ten, the specification's own tests 390
ANNOTATIONS_LISTED: Final = 64 * KIB  # the same, all their text, in a list of referrers; cosign's have some 10 KiB
TAGS_PER_PUSH: Final = 10  # count of `?tag=`; the distribution specification's own
INDEX_MANIFESTS: Final = 256  # count an index reaches; the official multi-platform images have some 20
INDEX_DEPTH: Final = 3  # indexes within indexes; the specification allows any, nobody is known to need two
REFUSALS_REMEMBERED: Final = 1024  # count; oras sends a refused manifest five times, which is one refusal (FACTS-OCI 4)
REASON_MESSAGE: Final = 8 * KIB  # oras and others read no more of a refusal (FACTS-OCI 4)
WARNING_HEADER: Final = 4096  # the distribution specification's own

# --- Operators' files ---------------------------------------------------------------------------------------------
YAML_BYTES: Final = 8 * MIB  # 10,000 rules are some 4 MiB
YAML_DEPTH: Final = 32
PERMALINK: Final = 70  # characters; twine breaks a longer one at 80 columns (FACTS)

# --- Upstream -----------------------------------------------------------------------------------------------------
UPSTREAM_CONNECT_SECONDS: Final = 10.0
UPSTREAM_IDLE_SECONDS: Final = 300.0  # between two reads; a registry of one thread may be busy with gigabytes of others
DOCUMENT_SECONDS: Final = 300.0  # one whole page; without it a registry that trickles holds a name for ever
INDEX_PAGE: Final = 64 * MIB  # one project's page; the largest on PyPI is some 10 MiB
PAGE_SECONDS: Final = 2.0  # a document is shown again this long; for a change in the registry by another way than ours
PATHS_REMEMBERED: Final = 1024  # count; what a path that is read again and again is
PAGES_TOTAL: Final = 64 * MIB  # documents that are kept, of all registries
MUTATION_BODY: Final = 64 * KIB  # of one that is no document; npm sends a version in quotes
DEPRECATION: Final = 2048  # characters; npm prints it whole at every install
POSTED_READ: Final = 8 * MIB  # a read's body; npm's audit of a large tree is some hundred KiB, gzipped
SEARCH_PAGE: Final = 250  # count; the most that npm registries answer at once
SEARCH_LONGEST: Final = 10_000  # count; verdaccio's search goes no further
SIGNATURES_REMEMBERED: Final = 65_536  # count, of some 300 bytes; one is made in 30 microseconds
SETTLE_SECONDS: Final = 30.0  # between two looks at what is not settled
REPLY_BODY: Final = 64 * KIB  # what is kept of an upstream's answer to a write
REPLY_WORDS: Final = 200  # characters; what is quoted of an upstream's reason phrase or of an error about it

# --- The store ----------------------------------------------------------------------------------------------------
STORE_BATCH: Final = 256  # writes that share one commit
STORE_BUSY_SECONDS: Final = 10.0  # another process may hold the write lock this long
STORE_WATCH_SECONDS: Final = 0.5  # another process's revocation is seen within this
RECORDS_PAGE: Final = 1000  # count; one answer to a search of the records
GRANTS_KEPT: Final = 4096  # count, in memory for reads, while nothing is written
STORE_READERS: Final = 4  # connections that read at the same time
