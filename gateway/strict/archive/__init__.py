"""Bounded readers of archives: the names in them and the few small files that are asked for, never an extraction."""

from gateway.strict.archive.tar import TarIndex, read_tar_gz
from gateway.strict.archive.zip import ZipIndex, read_zip

__all__ = ["TarIndex", "ZipIndex", "read_tar_gz", "read_zip"]
