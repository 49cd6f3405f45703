"""The client towards a registry: its pools, the one credential, what comes back."""

from gateway.upstream.client import Answer, NothingSent, Upstream

__all__ = ["Answer", "NothingSent", "Upstream"]
