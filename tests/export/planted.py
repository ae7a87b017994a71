"""Faults that exports are known for, planted in artifacts of a run, and what the gate says of each.

perf/planted_export_faults.py prints the table; test_faults.py asks that each is broken by the name that it has here.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlexp.api.export import Planned, asked_of
from rlexp.compose.start import CONFIG
from rlexp.evaluate.artifact_sampler import spec_of
from rlexp.export import build, formats, merged
from rlexp.export.formats import Making
from rlexp.export.gate import reference, verdict
from rlexp.export.gate.measure import measure
from rlexp.export.gate.verdict import Judged
from rlexp.export.source import Source
from rlexp.runtimes.protocol import Spec

INST = "{% for m in messages %}{{ '[INST] ' + m.content + ' [/INST]' if m.role == 'user' else m.content }}{% endfor %}"
NO_SYSTEM = "{% set messages = messages | rejectattr('role', 'equalto', 'system') | list %}"
LOST = "adapter.share"


@dataclass(frozen=True)
class Fault:
    """A fault, planted in the folder of the merged model."""

    plant: Callable[[Source, Path], None]
    reason: str
    """The name that the gate has for it."""


@dataclass(frozen=True)
class Row:
    """What the gate says of an artifact."""

    name: str
    reason: str | None
    """The name of the fault that was planted; None of an honest artifact."""
    found: dict[str, Any]
    judged: Judged

    @property
    def caught(self) -> list[str]:
        """The names of what breaks it."""
        return [one["name"] for one in self.judged.reasons if one["level"] == "broken"]

    @property
    def right(self) -> bool:
        """A fault is broken by its name, an honest artifact is not broken."""
        return self.reason in self.caught if self.reason else not self.caught


def changed(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes a JSON file of an artifact."""
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content, indent=1))


def template(change: Callable[[str], str]) -> Callable[[Source, Path], None]:
    """Changes the template."""

    def plant(source: Source, folder: Path) -> None:
        file = folder / "chat_template.jinja"
        before = file.read_text()
        after = change(before)
        assert after != before, "the template has nothing of the kind"
        file.write_text(after)

    return plant


def without_opening(text: str) -> str:
    """The template without its generation prompt."""
    begin = max(text.rfind("{% if add_generation_prompt"), text.rfind("{%- if add_generation_prompt"))
    assert begin >= 0, text
    return text[:begin]


def no_adapter(source: Source, folder: Path) -> None:
    base = replace(source, base=source.before, adapter=None)
    shutil.rmtree(folder)
    merged.write(base, folder)


def scaled(source: Source, folder: Path) -> None:
    assert source.adapter
    with tempfile.TemporaryDirectory() as there:
        adapter = Path(shutil.copytree(source.adapter, Path(there) / "adapter"))
        changed(adapter, CONFIG, lambda config: config.update(lora_alpha=2 * config["lora_alpha"]))
        shutil.rmtree(folder)
        merged.write(replace(source, adapter=adapter), folder)


def wrong_stop(source: Source, folder: Path) -> None:
    changed(folder, "generation_config.json", lambda one: one.update(eos_token_id=[1]))
    changed(folder, "tokenizer_config.json", lambda one: one.update(eos_token="<|im_start|>"))


def no_head(source: Source, folder: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    (file,) = folder.glob("*.safetensors")
    tensors = load_file(file)
    embedding = tensors["model.embed_tokens.weight"]
    torch.manual_seed(0)
    tensors["lm_head.weight"] = torch.randn(embedding.shape).to(embedding.dtype) * embedding.float().std()
    save_file(tensors, file, metadata={"format": "pt"})
    changed(folder, "config.json", lambda one: one.update(tie_word_embeddings=False))


NO_ADAPTER = "adapter not applied"
FAULTS = {
    NO_ADAPTER: Fault(no_adapter, LOST),
    "adapter at twice its scale": Fault(scaled, LOST),
    "another stop token": Fault(wrong_stop, "ends.missing"),
    "another template": Fault(template(lambda text: INST), "prompt.text"),
    "system turn missing": Fault(template(lambda text: NO_SYSTEM + text), "prompt.text"),
    "generation prompt missing": Fault(template(without_opening), "prompt.text"),
    "tied embedding lost": Fault(no_head, "divergence"),
}
DOUBLED_BOS = "gguf-f16 with a BOS too many"


def doubled_bos(file: Path, place: Path) -> Path:
    """A GGUF whose tokenizer adds a token that is no part of the prompt."""
    import gguf

    place.mkdir()
    made = Path(shutil.copyfile(file, place / "model.gguf"))
    reader = gguf.GGUFReader(made, "r+")
    field = reader.get_field("tokenizer.ggml.add_bos_token")
    assert field is not None, "this file does not say whether a BOS is added"
    field.parts[field.data[0]][0] = True
    reader.data.flush()
    return made


def rows(plan: Planned, place: Path, say: Callable[[str], None] = lambda line: None) -> Iterator[Row]:
    """Makes the artifacts of a plan, honest ones and faulty ones, and has the gate judge each.

    Args:
        place: an empty folder, which takes them all.
    """
    source, asked = plan.source, asked_of(plan)
    trained = source.reference(source.subject.run.model.max_seq_length, 16)
    untrained = source.untrained(trained.context, trained.together)
    made = build.make(plan.wanted, source, place / "honest", lambda model: [], say)
    known = reference.measure(asked, trained, untrained, place / "reference", say)

    def row(name: str, reason: str | None, spec: Spec) -> Row:
        spec = replace(spec, context=trained.context, together=trained.together)
        found = measure(spec, known, asked, place / "reference")
        return Row(name, reason, found, verdict.judge(found, known.baselines))

    specs = {one.name: spec_of(one, source.subject.run) for one in made}
    for name, spec in specs.items():
        yield row(name, None, spec)
    plain = specs[made[0].name]
    if source.device == "cpu":
        yield row("merged, computed in bfloat16", None, replace(plain, dtype="bfloat16"))
    for name, fault in FAULTS.items():
        folder = Path(shutil.copytree(made[0].folder, place / name))
        fault.plant(source, folder)
        yield row(name, fault.reason, replace(plain, path=folder))
    for one in made[1:]:
        folder = place / f"base_{one.name}"
        folder.mkdir()
        kind = one.content["kind"]
        settings = getattr(plan.wanted.typed, kind)
        done = formats.make(kind, Making(place / NO_ADAPTER, folder, one.content["type"], settings, list))
        yield row(f"{one.name} of the base", LOST, replace(specs[one.name], path=folder / done.path))
        if one.name == "gguf-f16":
            yield row(DOUBLED_BOS, "prompt.ids", replace(specs[one.name], path=doubled_bos(one.path, place / "bos")))
