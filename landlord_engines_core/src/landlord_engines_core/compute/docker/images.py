"""How images are called: a name may leave out its registry, its folder and its tag."""

__all__ = ["in_full", "is_same_image", "registry_of"]

DOCKERS_OWN = "docker.io"


def registry_of(image: str) -> str:
    """The address of an image's registry, by Docker's rule for telling it from a folder."""
    first, slash, _ = image.partition("/")
    is_address = slash and ("." in first or ":" in first or first == "localhost")
    return first if is_address else DOCKERS_OWN


def in_full(image: str) -> str:
    """An image with the address of its registry, without which aiodocker sends no credentials."""
    if registry_of(image) != DOCKERS_OWN or image.startswith(f"{DOCKERS_OWN}/"):
        return image
    return f"{DOCKERS_OWN}/{image}" if "/" in image else f"{DOCKERS_OWN}/library/{image}"


def is_same_image(one: str, other: str) -> bool:
    """Whether two names mean one image; an engine may show another than it was given."""
    return _normalized(one) == _normalized(other)


def _normalized(image: str) -> str:
    """A name with its registry, its folder and its tag, or with its digest alone."""
    for docker in (f"index.{DOCKERS_OWN}/", f"{DOCKERS_OWN}/"):
        image = image.removeprefix(docker)
    name, _, digest = in_full(image).partition("@")
    folder, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return (
        f"{folder}{slash}{last}@{digest}" if digest else f"{folder}{slash}{last}:{tag or 'latest'}"
    )
