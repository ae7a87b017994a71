"""All that is compared of a run, as one tree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rlexp.compose.identity import NEW_KEYS
from rlexp.inputs.digest import file_md5, json_sha256
from rlexp.record.finished import FinishedRun
from rlexp.record.run_folder import PATCH


def facts(run: FinishedRun) -> dict[str, Any]:
    """All that is compared of a run as one tree: its config, and beside each group the hashes of what it names."""
    config, inputs = run.lock["config"], run.lock["inputs"]
    data, git = inputs["data"], run.manifest.get("git") or {}
    terms = {
        name: {
            "code": "v{version} {md5:.8}".format(**{"version": None, "md5": "", **inputs["rewards"].get(name, {})}),
            **term,
        }
        for name, term in config["reward"]["terms"].items()
    }
    script = data.get("source", {}).get("script")
    versions = dict(run.lock["versions"])
    patch = run.run_dir / PATCH
    code = {
        "rlexp": versions.pop("rlexp", None),
        "commit": git["sha"][:8] if git else None,
        "patch": file_md5(patch)[:8] if git and patch.is_file() else None,
    }
    return {
        **dict.fromkeys(("max_minutes", "fork", "fork_sha256")),
        **config,
        "model": {**_new("model"), **config["model"], "file": _files(inputs["model"].get("files", {}))},
        "dataset": {
            **_new("dataset"),
            **config["dataset"],
            "snapshot": data["md5"][:8],
            "pass_rates": inputs.get("difficulty", {}).get("md5", "")[:8],
            **{name: data.get(name, {}) for name in ("rows", "columns")},
            "script": f"{Path(script).name} {data['source'].get('script_md5', '')[:8]}" if script else None,
        },
        "reward": {"terms": terms},
        "template": run.lock["chat_template_sha256"][:8],
        "software": versions,
        "machine": run.lock.get("machine", {}),
        "code": code,
    }


def _new(group: str) -> dict[str, Any]:
    """What a lock that is older than a key means by not having it."""
    return {key: default for (of, key), default in NEW_KEYS.items() if of == group}


def _files(md5s: dict[str, str]) -> dict[str, str]:
    """File -> short hash; all files of weights as one, for a large model has dozens."""
    weights = {name: md5 for name, md5 in md5s.items() if re.search(r"\.(safetensors|bin)(\.index\.json)?$", name)}
    files = {name: md5[:8] for name, md5 in md5s.items() if name not in weights}
    return {**files, "weights": json_sha256(weights)[:8]} if weights else files
