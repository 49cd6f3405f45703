"""The smallest settings file that `provgate check` has nothing to say about."""

from __future__ import annotations

from typing import Final

ENVIRONMENT: Final = {"PYPI": "gateway:hunter2"}
GOOD: Final = """\
listen: 127.0.0.1:8080
public_url: https://pypi.acme.example
registries:
  - name: python
    ecosystem: pypi
    mount: /pypi
    upstream: http://127.0.0.1:8081
    upstream_credential: env:PYPI
"""
