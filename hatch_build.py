"""What the wheel carries beside the code; from a clone (pip install -e) the folders themselves are taken."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHIPPED = (
    *("conf", "rewards", "data_prep", "eval", "models/tiny"),
    *("constraints.txt", "constraints-gpu.txt", "requirements-unsloth.txt", "SKILL.md"),
)


class Shipped(BuildHookInterface):
    """Puts them where ``rlexp.project.shipped`` finds them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"].update({name: f"rlexp/shipped/{name}" for name in SHIPPED})
