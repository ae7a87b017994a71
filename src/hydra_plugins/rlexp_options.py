"""Hydra finds this module by itself in every process that composes: ours, a launcher's worker, DVC's.

It brings the config source ``rlexp://``, and puts it and the options that rlexp ships on the search path, also where
``hydra.searchpath`` is typed. It also opens ``hydra.sweeper.params``, which Hydra leaves null, so that a key of it can
be typed.
"""

from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeperConf
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from rlexp.compose.options import ComposedOptions
from rlexp.compose.search_path import SHIPPED
from rlexp.project import CONF, shipped

__all__ = ["ComposedOptions", "OptionsOnThePath"]

_sweeper = OmegaConf.structured(BasicSweeperConf(params={}))
OmegaConf.set_struct(_sweeper.params, False)
ConfigStore.instance().store(group="hydra/sweeper", name="basic", node=_sweeper, provider="hydra")


class OptionsOnThePath(SearchPathPlugin):
    """Puts the options that rlexp ships, and those that no file holds (``reward=a+b``, ``hardware=auto``, the schemas),
    behind those of conf/."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Appends both to a search path: what is shipped by its folder (not ``pkg://``), so that a message can show the
        line of a file."""
        conf = shipped() / CONF
        if all(Path(element.path) != conf for element in search_path.get_path()):  # else it is rlexp's own clone
            search_path.append(provider=SHIPPED, path=f"file://{conf}")
        search_path.append(provider=SHIPPED, path="rlexp://conf")
