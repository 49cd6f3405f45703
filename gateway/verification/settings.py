"""The settings of a trust root: the content of `trust_root.yaml`, and the files that it names."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

TRUSTED_ROOT: Final = "trusted_root.json"  # the name under which TUF delivers it and shipped roots embed it
PUBLIC_GOOD: Final = "https://tuf-repo-cdn.sigstore.dev"


def _day(value: object) -> object:
    """Take a date as YAML gives it: as text, or already read."""
    return date.fromisoformat(value) if isinstance(value, str) else value


Day = Annotated[date, BeforeValidator(_day)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]


class _Settings(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Thresholds(_Settings):
    """How many proofs of each sort a signature needs under this root."""

    sct: int = Field(ge=0, le=8, description="certificate timestamps by logs of the root")
    log: int = Field(ge=0, le=8, description="entries in transparency logs of the root")
    timestamp: int = Field(ge=0, le=8, description="RFC 3161 timestamps by authorities of the root")


class Source(_Settings):
    """Where the material comes from: exactly one of `file`, `embedded` and `tuf`."""

    file: FileName | None = Field(default=None, description="a file beside trust_root.yaml")
    embedded: Literal["public-good"] | None = Field(default=None, description="trusted_root.json as it is shipped")
    tuf: str | None = Field(default=None, pattern=r"^https://[!-~]+$", description="a TUF repository's address")
    bootstrap: FileName | None = Field(default=None, description="the TUF root to start from")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(item is not None for item in (self.file, self.embedded, self.tuf)) != 1:
            raise ValueError("expected exactly one of file, embedded and tuf")
        if (self.tuf is None) != (self.bootstrap is None):
            raise ValueError("tuf needs bootstrap, and nothing else does")
        return self

    @property
    def public_good(self) -> bool:
        """Whether it is Sigstore's public instance, as it is shipped or as its own TUF repository delivers it."""
        return self.embedded == "public-good" or (self.tuf or "").rstrip("/") == PUBLIC_GOOD

    @property
    def material(self) -> str:
        """The name under which the trusted root's bytes are handed over."""
        return self.file or TRUSTED_ROOT


class KeySettings(_Settings):
    """One named public key and the days on which it may sign, both included."""

    file: FileName
    not_before: Day
    not_after: Day | None = None


class TrustRootSettings(_Settings):
    """The content of `trust_roots/<name>/trust_root.yaml`."""

    kind: Literal["sigstore", "keys", "ca", "layout"]
    source: Source | None = None
    keys: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")], KeySettings] = Field(default_factory=dict)
    thresholds: Thresholds
    owner: str = Field(min_length=1, description="who answers for this root")
    not_after: Day | None = Field(default=None, description="the last day on which the root is used")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        wanted = self.thresholds
        if (self.kind in {"keys", "layout"}) != bool(self.keys):
            raise ValueError("kinds keys and layout need keys, and nothing else has any")
        if self.kind != "keys" and self.source is None:
            raise ValueError(f"kind {self.kind} needs a source")
        if self.kind == "ca" and (self.source is None or self.source.file is None):
            raise ValueError("kind ca needs a source with a file of PEM certificates")
        if self.kind == "layout" and (self.source is None or self.source.file is None):
            raise ValueError("kind layout needs a source with the file of the signed layout")
        if self.kind == "sigstore" and wanted.log + wanted.timestamp == 0:
            raise ValueError("short-lived certificates need a proved time: log or timestamp must be at least 1")
        if self.kind in {"ca", "layout"} and wanted.sct + wanted.log + wanted.timestamp:
            raise ValueError(f"kind {self.kind} has no logs or timestamp authorities: its thresholds are 0")
        if self.kind == "keys" and (wanted.sct or (self.source is None and wanted.log + wanted.timestamp)):
            raise ValueError("keys have no certificate timestamps, and logs and timestamps need a source")
        return self


def material_names(settings: TrustRootSettings) -> tuple[str, ...]:
    """Return the files to be read beside the settings; a TUF source's trusted root is fetched, not read."""
    names = [key.file for key in settings.keys.values()]
    if settings.source is not None:
        names.append(settings.source.bootstrap or settings.source.material)
    return tuple(dict.fromkeys(names))
