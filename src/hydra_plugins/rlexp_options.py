"""Hydra finds this module by itself in every process that composes: ours, a launcher's worker, DVC's.

It brings the config source ``rlexp://``, and puts it on the search path, also where ``hydra.searchpath`` is typed.
"""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from rlexp.compose.options import ComposedOptions

__all__ = ["ComposedOptions", "OptionsOnThePath"]


class OptionsOnThePath(SearchPathPlugin):
    """Puts the options that no file holds (``reward=a+b``, ``hardware=auto``, the schemas) behind those of conf/."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Appends ``rlexp://conf`` to a search path."""
        search_path.append(provider="rlexp", path="rlexp://conf")
