"""One settings file to values: what is served, where, with which secrets, and what is trusted."""

from gateway.config.check import Level, Problem, check_settings
from gateway.config.document import settings_schema
from gateway.config.secret import Secret
from gateway.config.settings import (
    Listen,
    ReadAuth,
    Reads,
    RegistrySettings,
    Removal,
    Settings,
    SpoolSettings,
    Tls,
    load_settings,
)
from gateway.config.trust import load_trust_roots, read_policy_files, shipped_trust_roots

__all__ = [
    "Level",
    "Listen",
    "Problem",
    "ReadAuth",
    "Reads",
    "RegistrySettings",
    "Removal",
    "Secret",
    "Settings",
    "SpoolSettings",
    "Tls",
    "check_settings",
    "load_settings",
    "load_trust_roots",
    "read_policy_files",
    "settings_schema",
    "shipped_trust_roots",
]
