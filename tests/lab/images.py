"""The demo's small images, where tests look for them."""

from gateway.demo.images import CONFIG, INDEX, LAYER, MANIFEST, Image, image, index

__all__ = ["CONFIG", "INDEX", "LAYER", "MANIFEST", "Image", "image", "index"]
