"""The folders of options in the order in which Hydra asks them: the project's, a team's, what rlexp ships."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from rlexp.compose.explain_search_path import KEY, require_options
from rlexp.compose.places import Places

SHIPPED = "rlexp"
"""The provider of rlexp's own sources."""
LAST = (SHIPPED, "schema")
"""Providers of the sources that are asked last, in this order."""


class Loader(ConfigLoaderImpl):
    """Hydra's loader, for which ``hydra.searchpath`` goes before what rlexp ships: Hydra puts it behind all others.

    Its sources are those of what was loaded last. Points of a sweep that choose the same options share what was read of
    them, and differ in what is put over it.
    """

    def __init__(self, config_search_path: Any) -> None:
        super().__init__(config_search_path)
        self._read: dict[str, dict[str, Any]] = {}
        self._composed: dict[str, DictConfig] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without what was read: another process reads it again."""
        return {**vars(self), "_read": {}, "_composed": {}}

    def _parse_overrides_and_create_caching_repo(self, config_name: Any, overrides: list[str]) -> Any:
        """As Hydra's, with a cache of files that outlives the call."""
        parsed = OverridesParser.create().parse_overrides(overrides=overrides)
        repo = CachingConfigRepository(self.repository)
        searched = [override.input_line for override in parsed if override.key_or_group == "hydra.searchpath"]
        repo.cache = self._read.setdefault(str([config_name, *searched]), {})
        self._process_config_searchpath(config_name, parsed, repo)
        return parsed, repo

    def _compose_config_from_defaults_list(self, defaults: Any, repo: Any) -> DictConfig:
        """As Hydra's, whose merging keeps nodes of what was read: it is given copies."""
        key = str([defaults, [(source.provider, source.path) for source in repo.get_sources()]])
        if key not in self._composed:
            copied = CachingConfigRepository(repo.delegate)
            copied.cache = copy.deepcopy(repo.cache)
            self._composed[key] = super()._compose_config_from_defaults_list(defaults, copied)
        return copy.deepcopy(self._composed[key])

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
