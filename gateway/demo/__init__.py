"""The demonstration: a real registry, real clients and a sandbox Sigstore around the gateway, all on this machine."""
