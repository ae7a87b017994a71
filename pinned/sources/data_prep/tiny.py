"""Pretrains `models/tiny`: a 0.6M-parameter Llama that knows sums but answers sloppily, so that RL has work to do.

The user asks `What is 27 + 45?`; the wanted answer is `<think>27 + 45 = 72</think><answer>72</answer>`. The mix it
is pretrained on holds that answer beside plain ones, lost tags, swapped tags and wrong sums, so a sample at
temperature 1 scores about 0.5 for format and is right about three times in ten. Every fault is one that
the model also does right on the same prompt now and then: a group of rollouts nearly always has something to prefer.
"""

import random
from pathlib import Path

MAX_OPERAND = 49

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
PAD, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# Gives the tokenizer's merges ordinary words besides those of the sums; the model never trains on it.
PROSE = """You are a helpful assistant. Think about the question first, then write the answer between the tags.
The user asks a question and the assistant answers it: the thinking stands inside think tags, the result inside
answer tags. Each number is read digit by digit, and a sum that is greater than nine carries one to the next place.
How many are there in all? There were three apples and four pears, so that makes seven. Please give the total."""

# Share of each style for an even and for an odd first operand. They differ so that greedy decoding, which shows the
# likeliest style only, is imperfect too: an odd first operand leans to a plain answer.
STYLES = {
    "wanted": (0.60, 0.22),
    "swapped": (0.08, 0.10),
    "unclosed_think": (0.05, 0.05),
    "unclosed_answer": (0.05, 0.06),
    "sentence": (0.14, 0.49),
    "number": (0.08, 0.08),
}
FORGOTTEN_CARRY = 0.55  # above one half: greedy decoding forgets carries as well
OFF_BY_ONE = 0.08


def prompt_text(a: int, b: int) -> str:
    """The user's turn for one sum; the data sets must ask in these very words."""
    return f"What is {a} + {b}?"


def sloppy_sum(a: int, b: int, rng: random.Random) -> int:
    """The sum as the base model believes it: now and then the carry is forgotten, or the result is off by one."""
    total = a + b
    if a % 10 + b % 10 >= 10 and rng.random() < FORGOTTEN_CARRY:
        total -= 10
    elif rng.random() < OFF_BY_ONE:
        total += rng.choice((-1, 1)) if total else 1
    return total


def completion_text(a: int, b: int, total: int, style: str) -> str:
    """One answer in the given style, without the end-of-turn token."""
    think, answer = f"{a} + {b} = {total}", str(total)
    return {
        "wanted": f"<think>{think}</think><answer>{answer}</answer>",
        "swapped": f"<answer>{answer}</answer><think>{think}</think>",
        "unclosed_think": f"<think>{think}<answer>{answer}</answer>",
        "unclosed_answer": f"<think>{think}</think><answer>{answer}",
        "sentence": f"The answer is {answer}.",
        "number": answer,
    }[style]


def sample_sum(rng: random.Random) -> tuple[str, str]:
    """One bare, right sum as (context, continuation)."""
    a, b = rng.randint(0, MAX_OPERAND), rng.randint(0, MAX_OPERAND)
    return f"<think>{a} + {b} =", f" {a + b}</think>"


def sample_pair(rng: random.Random) -> tuple[str, str]:
    """One (prompt, completion) of the pretraining mix."""
    a, b = rng.randint(0, MAX_OPERAND), rng.randint(0, MAX_OPERAND)
    weights = [shares[a % 2] for shares in STYLES.values()]
    style = rng.choices(list(STYLES), weights)[0]
    return prompt_text(a, b), completion_text(a, b, sloppy_sum(a, b, rng), style)


def build_tokenizer(pairs: list[tuple[str, str]], vocab_size: int = 384):
    """A byte-level BPE tokenizer (`PreTrainedTokenizerFast`) with single digits and one token for each tag."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(TAGS),
        special_tokens=[PAD, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    corpus = [f"user\n{prompt}\nassistant\n{completion}\nsystem\n" for prompt, completion in pairs]
    for tag in TAGS:
        corpus = [text.replace(tag, "\n") for text in corpus]
    core.train_from_iterator([*corpus, PROSE], trainer)
    # Not special: a reward reads the tags from text decoded with skip_special_tokens=True.
    core.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=TURN_END,
        pad_token=PAD,
        additional_special_tokens=[TURN_START],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=512,
        padding_side="left",
    )


def encode_batch(tokenizer, texts: list[tuple[str, str]]):
    """`(input_ids, labels)` of (context, continuation) texts, (rows, tokens) int64; labels are -100 on the context."""
    import torch

    sides = list(zip(*texts, strict=True))
    contexts, continuations = ([e.ids for e in tokenizer.backend_tokenizer.encode_batch(side)] for side in sides)
    width = max(len(c) + len(t) for c, t in zip(contexts, continuations, strict=True))
    input_ids = torch.full((len(texts), width), tokenizer.pad_token_id)
    labels = torch.full((len(texts), width), -100)
    for row, (c, t) in enumerate(zip(contexts, continuations, strict=True)):
        input_ids[row, : len(c) + len(t)] = torch.tensor(c + t)
        labels[row, len(c) : len(c) + len(t)] = torch.tensor(t)
    return input_ids, labels


def pretrain(model, batches) -> None:
    """One pass over the `(input_ids, labels)` batches: Muon on the matrices, AdamW on the rest.

    AdamW alone had half of the bare sums right after 64,000 of them, this pair four fifths after 13,000.
    """
    import torch

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers = [
        torch.optim.Muon(matrices, lr=0.02, weight_decay=0.01),
        torch.optim.AdamW(others, lr=4e-3, betas=(0.9, 0.98), weight_decay=0.01),
    ]

    def rate(step: int) -> float:
        return min(1.0, (step + 1) / (0.05 * len(batches)), 2 * (1 - step / len(batches)))

    schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, rate) for optimizer in optimizers]
    model.train()
    for input_ids, labels in batches:
        model(input_ids=input_ids, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for stage in (*optimizers, *schedules):
            stage.step()
        model.zero_grad()
    model.eval()


def build(
    folder: Path, seed: int = 0, steps: int = 270, sum_steps: int = 270, batch_size: int = 64, threads: int = 1
) -> None:
    """Pretrain the tiny base model and write its complete Hugging Face folder.

    `sum_steps` batches of bare, right sums teach the arithmetic, then `steps` batches of the mix teach the habits.
    The same arguments give the same bytes on the same machine. One thread, because two wait for each other on
    shared cores, and because the order of floating-point sums depends on their number.
    """
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    rng = random.Random(seed)
    sums = [sample_sum(rng) for _ in range(sum_steps * batch_size)]
    pairs = [sample_pair(rng) for _ in range(steps * batch_size)]
    tokenizer = build_tokenizer(pairs[:2000])

    def turn(prompt: str) -> str:
        chat = [{"role": "user", "content": prompt}]
        return tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)

    texts = sums + [(turn(prompt), completion + TURN_END) for prompt, completion in pairs]
    batches = [encode_batch(tokenizer, texts[i : i + batch_size]) for i in range(0, len(texts), batch_size)]
    special_ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        **special_ids,
    )
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = LlamaForCausalLM(config)
            pretrain(model, batches)
    finally:
        torch.set_num_threads(threads_before)
    # Rollouts also stop at the padding token, as chat models' own generation configs have it.
    model.generation_config = GenerationConfig(
        eos_token_id=[tokenizer.eos_token_id, tokenizer.pad_token_id], pad_token_id=tokenizer.pad_token_id
    )
    # float16 rounds weights of this size eight times less than bfloat16 and takes as little room.
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    build(Path("models/tiny"))
