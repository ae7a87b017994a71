"""The folders of options in the order in which Hydra asks them: the project's, a team's, what rlexp ships."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl

from rlexp.compose.explain_search_path import KEY, require_options
from rlexp.compose.places import Places

SHIPPED = "rlexp"
"""The provider of rlexp's own sources."""
LAST = (SHIPPED, "schema")
"""Providers of the sources that are asked last, in this order."""


class Loader(ConfigLoaderImpl):
    """Hydra's loader, for which ``hydra.searchpath`` goes before what rlexp ships: Hydra puts it behind all others.

    Its sources are those of what was loaded last.
    """

    def _process_config_searchpath(self, config_name: Any, parsed_overrides: Any, repo: Any) -> None:
        super()._process_config_searchpath(config_name, parsed_overrides, repo)
        repo.get_sources().sort(key=lambda source: LAST.index(source.provider) + 1 if source.provider in LAST else 0)
        self.repository.sources = repo.get_sources()
        for source in repo.get_sources():
            if source.provider.startswith(KEY) and source.scheme() == "file":
                require_options(Path(os.path.abspath(source.path)))

    def places(self, root: Path, choices: Mapping[str, Any] = MappingProxyType({})) -> Places:
        """Where options and what they name are looked up (``places``)."""
        return places(root, ((source.scheme(), source.path) for source in self.get_sources()), choices)


def places(root: Path, sources: Iterable[tuple[str, str]], choices: Mapping[str, Any] = MappingProxyType({})) -> Places:
    """Where options and what they name are looked up.

    Args:
        root: the project folder.
        sources: (scheme, path) of those of the options, in their order.
        choices: group -> the option that was composed, as Hydra tells it.
    """
    confs = dict.fromkeys(filter(None, (_folder(*source) for source in sources)))
    chosen = [
        f"{group}/{part}"
        for group, option in choices.items()
        if option and not group.startswith("hydra/")
        for part in str(option).split("+")
    ]
    return Places(root, tuple(confs), ("config", *chosen) if chosen else ())


def _folder(scheme: str, path: str) -> Path | None:
    """The folder that a source of options is; None for one that is no folder of ours: Hydra's own, the schemas."""
    if scheme == "file":
        return Path(os.path.abspath(path))
    if scheme != "pkg" or path.startswith("hydra"):
        return None
    try:
        found = resources.files(path)
    except (ImportError, TypeError, ValueError):
        return None
    return found if isinstance(found, Path) else None
