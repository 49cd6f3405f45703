"""Requests in: who asks, for which registry, a read on its fast path, a write handed to `publish`."""
