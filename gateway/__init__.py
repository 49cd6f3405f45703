"""The gate in front of a private package registry: a release passes only when its provenance proves who built it."""
