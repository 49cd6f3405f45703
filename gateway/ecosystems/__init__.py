"""One file a protocol: recognise a request, read an `Upload` from it, render a decision for its own client."""
