"""Faults that exports are known for, planted in artifacts of a run, and which measure of the gate catches each.

Printed: a row an artifact, honest ones first: what each measure says, the verdict, and whether it is right: a fault
must be broken, an honest artifact must not.

Usage, from the project folder:
  python perf/planted_export_faults.py outputs/RUN                       # merged weights and their faults
  python perf/planted_export_faults.py outputs/RUN export=gguf+onnx      # and these formats, honest and of the base
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlexp.api.export import Planned, asked_of, planned
from rlexp.compose.start import CONFIG
from rlexp.console import RunConsole
from rlexp.evaluate.artifact_sampler import spec_of
from rlexp.export import build, formats, merged
from rlexp.export.formats import Making
from rlexp.export.gate import reference, verdict
from rlexp.export.gate.measure import measure
from rlexp.export.source import Source
from rlexp.runtimes.protocol import Spec

INST = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %}{{ m.content }}{% endif %}"
)
INST += "{% endfor %}"


def changed(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes a JSON file of an artifact."""
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content, indent=1))


def template(folder: Path, change: Callable[[str], str]) -> None:
    file = folder / "chat_template.jinja"
    before = file.read_text()
    after = change(before)
    assert after != before, "the template has nothing of the kind"
    file.write_text(after)


def no_adapter(source: Source, folder: Path) -> None:
    base = replace(source, base=source.before, adapter=None) if source.adapter else source
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


def without_opening(text: str) -> str:
    """The template without its generation prompt."""
    begin = text.rfind("{% if add_generation_prompt")
    begin = begin if begin >= 0 else text.rfind("{%- if add_generation_prompt")
    assert begin >= 0, text
    return text[:begin]


FAULTS: dict[str, Callable[[Source, Path], None]] = {
    "adapter not applied": no_adapter,
    "adapter at twice its scale": scaled,
    "another stop token": wrong_stop,
    "another template": lambda source, folder: template(folder, lambda text: INST),
    "system turn missing": lambda source, folder: template(
        folder, lambda text: "{% set messages = messages | rejectattr('role', 'equalto', 'system') | list %}" + text
    ),
    "generation prompt missing": lambda source, folder: template(folder, without_opening),
    "tied embedding lost": no_head,
}


def doubled_bos(merged_folder: Path, place: Path) -> Path:
    """A GGUF whose tokenizer adds a token that is no part of the prompt."""
    import gguf

    made = place / "model.gguf"
    shutil.copyfile(merged_folder, made)
    reader = gguf.GGUFReader(made, "r+")
    field = reader.get_field("tokenizer.ggml.add_bos_token")
    if field is None:
        raise SystemExit("this file does not say whether a BOS is added")
    field.parts[field.data[0]][0] = True
    reader.data.flush()
    return made


def row(name: str, honest: bool, found: dict[str, Any], baselines: dict[str, Any]) -> list[str]:
    judged = verdict.judge(found, baselines)
    right = (judged.verdict != "broken") == honest
    caught = [one["name"] for one in judged.reasons if one["level"] == "broken"]
    if "died" in found:
        return [name, "", "", "", "", "", "", judged.verdict, ", ".join(caught), "yes" if right else "NO"]
    far = {key: one["value"] for key, one in found["divergence"].items()}
    prompts = f"{len(found['prompts']['texts_differ'])}/{len(found['prompts']['ids_differ'])}"
    return [
        *(name, prompts, str(len(found["ends"]["missing"])), f"{found['stopped']['artifact']:.2f}"),
        *(f"{found['greedy']['same']:.2f}", f"{far['same_top_p']:.3f}", f"{far['mean_kld']:.2g}"),
        *(f"{far['adapter_share']:.2f}", judged.verdict, ", ".join(caught), "yes" if right else "NO"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    root, say = Path.cwd(), RunConsole().print
    plan: Planned = planned(options.run, options.overrides, root, root)
    source, asked = plan.source, asked_of(plan)
    trained = source.reference(source.subject.run.model.max_seq_length, 16)
    print(
        "| artifact | prompts that differ (text/ids) | ends missing | stopped | greedy same | same top | mean KLD "
        "| adapter's share | verdict | caught by | right |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as there:
        place = Path(there)
        made = build.make(plan.wanted, source, place / "honest", lambda model: [], say)
        untrained = source.untrained(trained.context, trained.together)
        known = reference.measure(asked, trained, untrained, place / "reference", say)

        def judged(name: str, honest: bool, spec: Spec) -> None:
            spec = replace(spec, context=trained.context, together=trained.together)
            found = measure(spec, known, asked, place / "reference")
            print("| " + " | ".join(row(name, honest, found, known.baselines)) + " |", flush=True)

        for one in made:
            judged(one.name, True, spec_of(one, source.subject.run))
        plain = spec_of(made[0], source.subject.run)
        if source.device == "cpu":
            judged("merged, computed in bfloat16", True, replace(plain, dtype="bfloat16"))
        for name, plant in FAULTS.items():
            folder = Path(shutil.copytree(made[0].folder, place / name.replace(" ", "_")))
            plant(source, folder)
            judged(name, False, replace(plain, path=folder))
        no_base = place / "adapter_not_applied"
        for one in made[1:]:
            folder = place / f"base_{one.name}"
            folder.mkdir()
            kind, type_name = one.content["kind"], one.content["type"]
            settings = getattr(plan.wanted.typed, kind)
            done = formats.make(kind, Making(no_base, folder, type_name, settings, lambda: []))
            path = folder if done.path == "." else folder / done.path
            judged(f"{one.name} of the base", False, replace(spec_of(one, source.subject.run), path=path))
            if one.name == "gguf-f16":
                (place / "bos").mkdir()
                judged(
                    "gguf-f16 with a BOS too many",
                    False,
                    replace(spec_of(one, source.subject.run), path=doubled_bos(one.path, place / "bos")),
                )


if __name__ == "__main__":
    main()
