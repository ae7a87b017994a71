"""The metadata at the head of a card, held against the hub's rules without the hub.

Source: https://huggingface.co/docs/hub/model-cards#model-card-metadata and the list of licences beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp import shapes
from rlexp.errors import RunError
from rlexp.shapes import record

LICENSES = (
    *("apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "bigcode-openrail-m"),
    *("bsd", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0"),
    *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0"),
    *("cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0", "gemma", "gpl", "gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl", "lgpl-3.0"),
    *("isc", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "mpl-2.0", "unlicense", "wtfpl", "zlib"),
    *("unknown", "other"),
)
TEXT = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"\A[^\x00-\x1f]+\Z", "description": "a text"}
TEXTS = {"type": "array", "items": TEXT}
RESULT = record(
    {
        "task": record({"type": TEXT}, {"name": TEXT}),
        "dataset": record({"type": TEXT, "name": TEXT}),
        "metrics": {"type": "array", "items": record({"type": TEXT, "value": {"type": "number"}}, {"name": TEXT})},
    }
)
SCHEMA = record(
    {
        "license": {"enum": list(LICENSES), "description": "a licence of the hub's list"},
        "library_name": TEXT,
        "pipeline_tag": {"const": "text-generation"},
        "tags": TEXTS,
    },
    {
        "license_name": {"type": "string", "pattern": r"\A[a-z0-9.-]+\Z", "description": "small letters and digits"},
        "language": {"anyOf": [TEXT, TEXTS]},
        "base_model": {"anyOf": [TEXT, TEXTS]},
        "base_model_relation": {"enum": ["adapter", "merge", "quantized", "finetune"]},
        "datasets": TEXTS,
        "model-index": {
            "type": "array",
            "items": record({"name": TEXT, "results": {"type": "array", "items": RESULT}}),
        },
    },
)


def require(metadata: dict[str, Any], where: Path) -> None:
    """Holds metadata against the hub's rules.

    Args:
        where: the notes, which say what a person can say.

    Raises:
        RunError: a key has another shape.
    """
    try:
        shapes.require(metadata, SCHEMA, "card's metadata", where)
    except RunError as error:
        raise RunError(error.what, str(where), "mend that key between the --- of the notes") from error
