"""Requests to a registry of content by digest (OCI): who asks, what is shown, blobs through, manifests to `publish`."""
