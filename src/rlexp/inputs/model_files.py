"""What a model's folder would have run: Python code beside the weights, and weights that are pickles. Neither is loaded
unless the model option says so, and the lock holds what it says."""

from __future__ import annotations

import json
from pathlib import Path

from rlexp.compose.schema import Model
from rlexp.errors import RunError

CONFIGS = ("config.json", "tokenizer_config.json", "processor_config.json")
"""Files whose ``auto_map`` names classes of the folder's own code."""
PICKLES = ("pytorch_model*.bin", "model*.bin", "adapter_model*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def require_plain(model: Model, model_dir: Path) -> None:
    """Checks a model's folder before anything of it is loaded.

    Raises:
        RunError: it brings code of its own, or its weights are pickles, and the model option does not allow it.
    """
    code = [name for name in CONFIGS if _names_code(model_dir / name)]
    if code and not model.trust_remote_code:
        files = ", ".join(sorted(path.name for path in model_dir.glob("*.py"))) or "code of another repository"
        raise RunError(
            f"the model brings Python code of its own, which would run with your rights: {files}",
            where=f"{model_dir / code[0]}: auto_map",
            hint="look at it, then type model.trust_remote_code=true (the lock holds it), or choose another model",
        )
    pickles = sorted(path.name for pattern in PICKLES for path in model_dir.glob(pattern))
    if pickles and not any(model_dir.glob("*.safetensors")) and not model.allow_pickle:
        raise RunError(
            f"the model's weights are pickles, and loading one can run code with your rights: {pickles[0]}",
            where=str(model_dir / pickles[0]),
            hint="have them converted to safetensors, or type model.allow_pickle=true (the lock holds it)",
        )


def require_safe_adapter(weights: Path) -> None:
    """Checks the folder of an adapter before it is loaded: a run never leaves another kind than safetensors.

    Raises:
        RunError: it has no safetensors.
    """
    if not (weights / "adapter_model.safetensors").is_file():
        raise RunError(
            "the adapter is no safetensors file, and nothing else of a run is loaded",
            where=str(weights),
            hint="take the run from where it came from: a whole one has adapter_model.safetensors there",
        )


def _names_code(file: Path) -> bool:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and bool(content.get("auto_map"))
