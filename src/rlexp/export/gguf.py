"""GGUF, llama.cpp's file: weights, tokenizer, template, ends and generation settings in one.

llama.cpp's converter writes 16-bit floats, and its quantisation the rest from them. ``gguf_process`` runs both.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from rlexp.errors import RunError
from rlexp.export import gguf_imatrix, gguf_process, modelfile
from rlexp.export.formats import Made, Making
from rlexp.export.pre_tokenizer import name_of
from rlexp.runtimes.host import Died, Host
from rlexp.runtimes.protocol import Spec

FILE = "model.gguf"
IMAT = "_imat"
MOST_ENDS = 3
"""Keys of the file that name an end of a completion."""
F16_MOST = 65504.0


def make(making: Making) -> Made:
    """Makes a file of one type; the f16 that the others are quantised from is taken from beside it where it is there.

    Raises:
        RunError: llama.cpp has no such architecture or pre-tokenizer, or the run has no completions to weigh by.
    """
    plain = making.type.removesuffix(IMAT)
    out, notes = making.folder / FILE, []
    with tempfile.TemporaryDirectory(dir=making.folder) as beside:
        try:
            if plain == "f16":
                notes += _convert(making, out)
            else:
                f16 = making.others / "gguf-f16" / FILE if making.others else None
                if f16 is None or not f16.is_file():
                    f16 = Path(beside) / FILE
                    _convert(making, f16)
                ftype = _ftype(plain)
                gguf_process.run("quantize", f16=f16, out=out, ftype=ftype, threads=making.threads)
                if making.type != plain:
                    notes += _weigh(making, f16, out, Path(beside) / "importance.npz")
            notes += _other_ends(making.merged, out)
        except (gguf_process.Failed, Died) as error:
            hint = "take another format for it: export=merged+onnx"
            raise RunError(f"llama.cpp makes no {making.type} of it: {error}", str(making.merged), hint) from error
    modelfile.write(making, out)
    mix = mix_of(out)
    notes += _other_blocks(plain, mix)
    return Made(FILE, mix, "; ".join(notes) or None)


def _convert(making: Making, out: Path) -> list[str]:
    pre = name_of(making.merged / "tokenizer.json") if _is_bpe(making.merged) else None
    outtype = "f16" if _largest(making.merged) < F16_MOST else "bf16"
    name, values = (making.others or making.merged).name, _values(making.merged)
    try:
        task = {"merged": making.merged, "out": out, "outtype": outtype, "name": name, "pre": pre, "values": values}
        gguf_process.run("convert", **task)
    except gguf_process.Failed as error:
        if "pre-tokenizer was not recognized" not in str(error):
            raise
        what = "llama.cpp has no pre-tokenizer that splits text as this tokenizer does"
        hint = "take another format for it: export=merged+onnx"
        raise RunError(what, str(making.merged / "tokenizer.json"), hint) from error
    return [] if outtype == "f16" else ["bfloat16, as float16 cannot hold the largest weights"]


def _values(merged: Path) -> dict[str, list[Any]]:
    """What the converter leaves out or guesses: every end, whether ids begin with one of their own, repetition."""
    from gguf import Keys
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer: Any = AutoTokenizer.from_pretrained(merged)
    ids = tokenizer("a")["input_ids"]
    begins = tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id
    if begins and tokenizer.chat_template:  # what the template does not write, the run has never seen
        turn = [{"role": "user", "content": "a"}]
        begins = tokenizer.apply_chat_template(turn, tokenize=False).startswith(tokenizer.bos_token)
    found: dict[str, list[Any]] = {Keys.Tokenizer.ADD_BOS: [begins, "BOOL"], Keys.Tokenizer.ADD_EOS: [False, "BOOL"]}
    ends = sorted(_ends(merged), key=lambda one: one != tokenizer.eos_token_id)
    keys = (Keys.Tokenizer.EOS_ID, Keys.Tokenizer.EOT_ID, Keys.Tokenizer.EOM_ID)
    found.update({key: [one, "UINT32"] for key, one in zip(keys, ends, strict=False)})
    repeated = GenerationConfig.from_pretrained(merged).repetition_penalty
    if repeated:
        found[Keys.General.SAMPLING_PENALTY_REPEAT] = [float(repeated), "FLOAT32"]
    return found


def _ends(merged: Path) -> list[int]:
    held = json.loads((merged / "generation_config.json").read_text()).get("eos_token_id")
    return held if isinstance(held, list) else [held] if held is not None else []


def ends_of(file: Path) -> list[int]:
    """The ids that llama.cpp itself takes for the end of a completion.

    Raises:
        Died: llama.cpp does not load the file.
    """
    with Host(Spec("llama.cpp", file, threads=1, context=64, together=1)) as host:
        return host.ends


def mix_of(file: Path) -> dict[str, float]:
    """llama.cpp's name of a type -> its share of all weights by number, largest first."""
    from gguf import GGUFReader

    held: Counter[str] = Counter()
    for tensor in GGUFReader(file).tensors:
        held[tensor.tensor_type.name] += int(tensor.n_elements)
    return {name: count / held.total() for name, count in held.most_common()}


def _weigh(making: Making, f16: Path, out: Path, importance: Path) -> list[str]:
    rows = making.own()
    if not any(rows):
        hint = f"type export.gguf.types=[{making.type.removesuffix(IMAT)}]"
        raise RunError("there are no completions to weigh by", f"export.gguf.types=[{making.type}]", hint)
    wanted = making.settings.imatrix_tokens
    taken = gguf_imatrix.measure(making.merged, rows, wanted, importance, making.device)
    gguf_process.run("weight", f16=f16, plain=out, importance=importance)
    return [f"weighted by {taken:,} tokens of the run's own completions"]


def _other_blocks(plain: str, mix: dict[str, float]) -> list[str]:
    """Says so where most weights are not of the type that the file is named by: their rows are not whole blocks."""
    named = plain.upper().removesuffix("_M")
    share = mix.get(named, 0.0)
    if share >= 0.5 or plain == "f16":
        return []
    others = ", ".join(f"{name} {part:.0%}" for name, part in mix.items() if name != named and part >= 0.005)
    return [
        f"{share:.0%} of the weights are {named}: llama.cpp takes other types where a row has no whole blocks "
        f"({others})"
    ]


def _other_ends(merged: Path, out: Path) -> list[str]:
    stated, found = set(_ends(merged)), set(ends_of(out))
    if stated - found:
        what = f"a GGUF file has room for {MOST_ENDS} ends of a completion, and the run has {len(stated)}"
        hint = "leave those in eos_token_id that it ends with"
        raise RunError(what, str(merged / "generation_config.json"), hint)
    if found == stated:
        return []
    from transformers import AutoTokenizer

    names = AutoTokenizer.from_pretrained(merged).convert_ids_to_tokens(sorted(found - stated))
    return [f"llama.cpp ends at {', '.join(names)} too, by their text"]


def _ftype(plain: str) -> int:
    from gguf import LlamaFileType

    return LlamaFileType[f"MOSTLY_{plain.upper()}"].value


def _is_bpe(merged: Path) -> bool:
    file = merged / "tokenizer.json"
    return file.is_file() and json.loads(file.read_text())["model"]["type"] == "BPE"


def _largest(merged: Path) -> float:
    """The largest absolute weight."""
    from safetensors import safe_open

    most = 0.0
    for file in sorted(merged.glob("*.safetensors")):
        with safe_open(file, "pt") as held:
            most = max([most, *(float(held.get_tensor(name).abs().max()) for name in held.keys())])  # noqa: SIM118
    return most
