"""Installing wrong engines: a folder with their modules and the metadata of their distribution."""

from collections.abc import Mapping
from pathlib import Path

__all__ = ["install"]

_METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}"


def install(
    folder: Path,
    group: str,
    engines: Mapping[str, str],
    *,
    distribution: str = "wrong-engines",
    requires: str = "Requires-Dist: landlord-engines-core<0.2,>=0.1\n",
) -> None:
    """Install engines into a folder that is on the path.

    Args:
        folder: The folder.
        group: The group of their entry points.
        engines: Each engine's module, as a text, by the engine's name. It defines ``factory``.
        distribution: The name of their distribution.
        requires: What the distribution requires.
    """
    name = distribution.replace("-", "_")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(_METADATA.format(name=distribution, requires=requires))
    lines = [f"[{group}]"]
    for engine, text in engines.items():
        module = f"{name}_{engine.replace('-', '_')}"
        (folder / f"{module}.py").write_text(text)
        lines.append(f"{engine} = {module}:factory")
    (info / "entry_points.txt").write_text("\n".join(lines))
