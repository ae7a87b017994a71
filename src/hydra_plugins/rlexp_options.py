"""Hydra finds this module by itself in every process that composes: ours, a launcher's worker, DVC's.

It brings the config source ``rlexp://`` that ``hydra.searchpath`` in conf/config.yaml names.
"""

from rlexp.compose.options import ComposedOptions

__all__ = ["ComposedOptions"]
