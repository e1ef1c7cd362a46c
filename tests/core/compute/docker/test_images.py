import pytest

from landlord_engines_core.compute.docker.images import is_same_image


@pytest.mark.parametrize(
    ("reference", "other"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1", "library/nginx:1"),
        ("team/web", "docker.io/team/web"),
        ("localhost:5000/web", "localhost:5000/web:latest"),
        ("docker.io/nginx", "index.docker.io/library/nginx"),
        ("nginx:1@sha256:aa", "nginx@sha256:aa"),
    ],
)
def test_names_that_mean_one_image_are_the_same(reference: str, other: str) -> None:
    assert is_same_image(reference, other)


@pytest.mark.parametrize(
    ("reference", "other"),
    [
        ("nginx:1", "nginx:2"),
        ("nginx", "team/nginx"),
        ("localhost:5000/web", "web"),
        ("web", f"web@sha256:{'0' * 64}"),
    ],
)
def test_names_of_different_images_differ(reference: str, other: str) -> None:
    assert not is_same_image(reference, other)
