"""The measured results of perf/results are pages of the site too, so that links to them work there and in a clone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

RESULTS = "perf/results/"


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Adds every report and picture of perf/results below results/."""
    folder = Path(config.config_file_path).parent / RESULTS
    for path in sorted([*folder.rglob("*.md"), *folder.rglob("*.svg")]):
        name = f"results/{path.relative_to(folder).as_posix()}"
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Points the links of a page at the copies within the site."""
    return markdown.replace(f"](../{RESULTS}", "](results/")
