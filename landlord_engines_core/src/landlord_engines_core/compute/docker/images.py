"""Image references: a reference may leave out its registry, its folder and its tag."""

__all__ = ["is_same_image", "registry_of", "with_registry"]

_DEFAULT_REGISTRY = "docker.io"


def registry_of(image: str) -> str:
    """Return the address of an image's registry.

    Docker takes the first part for an address if it has a dot or a colon, or is ``localhost``.
    """
    first, slash, _ = image.partition("/")
    is_address = slash and ("." in first or ":" in first or first == "localhost")
    return first if is_address else _DEFAULT_REGISTRY


def with_registry(image: str) -> str:
    """Return a reference with its registry, without which aiodocker sends no credentials."""
    if registry_of(image) != _DEFAULT_REGISTRY or image.startswith(f"{_DEFAULT_REGISTRY}/"):
        return image
    folder = "" if "/" in image else "library/"
    return f"{_DEFAULT_REGISTRY}/{folder}{image}"


def is_same_image(reference: str, other: str) -> bool:
    """Return whether two references name one image; a daemon may show another than it was sent."""
    return _normalize(reference) == _normalize(other)


def _normalize(image: str) -> str:
    """Return a reference with registry, folder and tag, or with its digest in place of the tag."""
    for default in (f"index.{_DEFAULT_REGISTRY}/", f"{_DEFAULT_REGISTRY}/"):
        image = image.removeprefix(default)
    name, _, digest = with_registry(image).partition("@")
    folder, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return (
        f"{folder}{slash}{last}@{digest}" if digest else f"{folder}{slash}{last}:{tag or 'latest'}"
    )
