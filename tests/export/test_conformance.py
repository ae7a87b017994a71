"""What every format does: it makes an artifact that is whole, complete and answers, once, and nothing else.

Of an adapter and of a full fine-tuning of the tiny model; a type of each format that a CPU makes in every run of the
tests, the others as long ones. docs/add-a-format.md: a new format is in it by its entry of FORMATS.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from rlexp.compose.exports import Wanted, artifact
from rlexp.compose.schema import Device
from rlexp.compose.schema_export import ON_GPU, TYPES, Export
from rlexp.errors import RunError
from rlexp.export import build, formats
from rlexp.export.formats import FORMATS
from rlexp.export.source import Source
from rlexp.record import exports
from rlexp.runtimes.host import Host
from rlexp.runtimes.protocol import Spec
from tests.export.made import TINY
from tests.runtimes import conformance

FAST = {"merged": "16bit", "torchao": "int8"}
EVERY = [
    pytest.param(name, kind, marks=[] if FAST.get(name) == kind else [pytest.mark.long], id=f"{name}-{kind}")
    for name in FORMATS
    for kind in TYPES[name]
    if kind not in ON_GPU.get(name, ())
]
SYSTEM = "You add."


def source_of(folder: Path, full: bool) -> Source:
    """The weights of a run that trained an adapter or every weight: tiny's, moved a little."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32)
    if not full:
        model = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"]))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if full or "lora_B" in name:
                weight.add_(torch.randn_like(weight) * 0.01)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        shutil.copyfile(TINY / name, folder / name)
    run = SimpleNamespace(
        chat_template_kwargs={},
        model=SimpleNamespace(system_prompt=SYSTEM, max_seq_length=256, load_in_4bit=False),
        hardware=SimpleNamespace(device=Device.cpu),
    )
    original = SimpleNamespace(lock={"identity": "0" * 16})
    subject = SimpleNamespace(name="outputs/a", run=run, original=original, digest={"weights": str(full)})
    return Source(subject, folder if full else TINY, None if full else folder, TINY)


@pytest.fixture(scope="module", params=[False, True], ids=["adapter", "full"])
def source(request, tmp_path_factory):
    return source_of(tmp_path_factory.mktemp("run") / "left", request.param)


@pytest.fixture(scope="module")
def reference(source):
    with Host(source.reference(256, 4)) as host:
        yield host


@pytest.fixture(scope="module")
def export(source, reference, tmp_path_factory):
    """The folder of the export, and how an artifact of it is made; the merged model is made once."""
    folder = tmp_path_factory.mktemp("project") / "exports/a"

    def make(name: str, kind: str):
        wanted = Wanted({"merged": ["16bit"], name: [kind]}, Export())
        return build.make(wanted, source, folder, lambda model: conformance.prompts(reference))[-1]

    return folder, make


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_an_artifact_is_whole_complete_and_answers(export, reference, name, kind):
    try:
        formats.require([name])
    except RunError as error:
        pytest.skip(str(error))
    folder, make = export
    one = make(name, kind)
    assert one.name == artifact(name, kind) and one.folder == folder / one.name
    assert one.content["files"] == exports.hashed(one.folder) and one.size > 0
    assert sum(one.content["mix"].values()) == pytest.approx(1)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    assert all(path.is_relative_to(one.folder.parent) for path in state(folder.parents[1]))
    with Host(Spec(one.content["runtime"], one.path, context=256, threads=1)) as host:
        conformance.same_prompts(host, reference)
        assert host.ends == reference.ends
        (answer,) = host.generate(conformance.prompts(reference)[:1], conformance.GREEDY, 0, 1)
        assert answer.ids
    assert travels(one)
    before = state(folder)
    assert make(name, kind).content == one.content and state(folder) == before


def state(folder: Path) -> dict[Path, int]:
    """When each file was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def travels(one: exports.Artifact) -> bool:
    """Whether tokenizer, template, generation settings and ends lie in it; a GGUF holds them itself."""
    if one.content["kind"] == "gguf":
        said = (one.folder / exports.MODELFILE).read_text()
        return f'SYSTEM """{SYSTEM}"""' in said and 'PARAMETER stop "<|im_end|>"' in said and "num_ctx 256" in said
    ends = json.loads((one.folder / "generation_config.json").read_text())["eos_token_id"]
    same = (one.folder / "chat_template.jinja").read_bytes() == (TINY / "chat_template.jinja").read_bytes()
    return same and sorted(ends) == [0, 2] and (one.folder / "tokenizer.json").is_file()


@pytest.mark.parametrize("name", ["merged", "torchao"])
def test_a_making_that_is_interrupted_leaves_nothing_of_it(export, monkeypatch, name):
    folder, make = export
    make("merged", "16bit")
    module = build.merged if name == "merged" else build.formats
    known, before = exports.artifacts(folder), state(folder)

    def stopped(*arguments):
        place = arguments[-1] if name == "merged" else arguments[-1].folder
        place.mkdir(exist_ok=True)
        (place / "half").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write" if name == "merged" else "make", stopped)
    told = build._told  # of another training, so that it is made anew
    monkeypatch.setattr(build, "_told", lambda content: None if content["kind"] == name else told(content))
    with pytest.raises(KeyboardInterrupt):
        make(name, FAST[name])
    assert state(folder) == before and exports.artifacts(folder) == known
