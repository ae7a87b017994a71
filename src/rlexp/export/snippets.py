"""How an artifact is asked in its runtime: a program of a few lines, which the gate runs before a card shows it.

Each prints one greedy answer. FOLDER is where the artifact lies.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rlexp.runtimes.protocol import Messages

FOLDER = "FOLDER"
TRANSFORMERS = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
model = AutoModelForCausalLM.from_pretrained("FOLDER", dtype="auto")
messages = MESSAGES
inputs = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"KWARGS
)
answer = model.generate(**inputs, max_new_tokens=LIMIT, do_sample=False)
print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
"""
VLLM = """\
from vllm import LLM, SamplingParams

if __name__ == "__main__":
    llm = LLM("FOLDER")
    messages = MESSAGES
    greedy = SamplingParams(temperature=0, max_tokens=LIMIT)
    answers = llm.chat(messages, greedy, use_tqdm=False, chat_template_kwargs=TEMPLATE)
    print(answers[0].outputs[0].text)
"""
LLAMA_CPP = """\
import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = "FOLDER"
params.use_jinja, params.n_parallel, params.warmup = True, 1, False
server = xllamacpp.Server(params)
asked = {"messages": MESSAGES, "temperature": 0, "max_tokens": LIMIT, "chat_template_kwargs": TEMPLATE}
said = server.handle_chat_completions(asked)
print(said["choices"][0]["message"]["content"])
"""
GENAI = """\
import json
import onnxruntime_genai as og

model = og.Model("FOLDER")
tokenizer = og.Tokenizer(model)
messages = MESSAGES
prompt = tokenizer.apply_chat_template(json.dumps(messages), add_generation_prompt=True)
ids = tokenizer.encode(prompt)
params = og.GeneratorParams(model)
params.set_search_options(max_length=len(ids) + LIMIT, do_sample=False)
generator = og.Generator(model, params)
generator.append_tokens(ids)
while not generator.is_done():
    generator.generate_next_token()
print(tokenizer.decode(generator.get_sequence(0)[len(ids) :]))
"""
OF_RUNTIME = {
    "transformers": TRANSFORMERS,
    "vllm": VLLM,
    "llama.cpp": LLAMA_CPP,
    "onnxruntime-genai": GENAI,
}
LIMIT_S = 600.0


def program(runtime: str, dialogue: Messages, limit: int, template_kwargs: dict[str, Any]) -> str:
    """The program that asks an artifact.

    Args:
        dialogue: what is asked.
        limit: tokens of the answer at most.
    """
    kwargs = f", **{template_kwargs!r}" if template_kwargs else ""
    text = OF_RUNTIME[runtime].replace("LIMIT", str(limit))
    text = text.replace("KWARGS", kwargs).replace("TEMPLATE", repr(template_kwargs))
    return text.replace("MESSAGES", json.dumps(dialogue, ensure_ascii=False))  # last: it may hold any of these words


def placed(text: str, folder: str) -> str:
    """The program with the artifact's place in it."""
    return text.replace(f'"{FOLDER}"', json.dumps(folder, ensure_ascii=False))


def ran(text: str, path: Path) -> tuple[bool, str]:
    """Runs a program with an artifact.

    Returns:
        (it ended well, what it printed; else the last line of its error).
    """
    command = [sys.executable, "-c", placed(text, str(path))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return False, f"it took more than {LIMIT_S:.0f} s"
    if done.returncode:
        return False, (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return True, done.stdout.strip("\n")
