"""Short text that stands for a longer one, or for one that ECS would not take."""

import hashlib

__all__ = ["digest"]


def digest(text: str) -> str:
    """SHA-256 in hex; half a surrogate, which JSON can hold, is a character like others."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
