"""The types of the composed tree: one dataclass a config group, a docstring under every field.

Hydra merges the YAML options of ``conf/`` into these, so that an unknown key or a wrong type fails while composing.
``method`` is typed by the table of TRL's own arguments instead (``compose.methods``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from rlexp.compose.ranges import ANY, BELOW_1, COUNT, COUNT_FROM_0, FROM_0, POSITIVE, SHARE, Range, named, ranged
from rlexp.shapes import INSIDE, NAME, SHA256


class DatasetType(Enum):
    """TRL's dataset types; every method trains on one of them."""

    prompt_only = "prompt"
    preference = "prompt chosen rejected"
    prompt_completion = "prompt completion"
    unpaired_preference = "prompt completion label"

    @property
    def columns(self) -> list[str]:
        """The columns a data set of this type must have."""
        return self.value.split()


class Dtype(Enum):
    """The floating-point type of weights and activations."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Device(Enum):
    """The kind of device that tensors live on."""

    cpu = "cpu"
    cuda = "cuda"


@dataclass
class Lora:
    """The adapter, in PEFT's own words (``peft.LoraConfig``)."""

    r: int = ranged(16, Range(1, 65536))
    """Rank."""
    lora_alpha: int = ranged(32, COUNT)
    """Scale: updates are multiplied by lora_alpha / r."""
    lora_dropout: float = ranged(0.0, BELOW_1)
    """Dropout in front of the adapter; 0 keeps Unsloth's fast path."""
    target_modules: Any = field(
        default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    )
    """The linear layers that get an adapter: a list of their names, or ``all-linear``."""
    use_rslora: bool = False
    """Scale by lora_alpha / sqrt(r) instead."""


@dataclass
class Size:
    """The shape of a dense decoder, in the words of its config.json."""

    num_hidden_layers: int = ranged(MISSING, COUNT)
    hidden_size: int = ranged(MISSING, COUNT)
    intermediate_size: int = ranged(MISSING, COUNT)
    num_attention_heads: int = ranged(MISSING, COUNT)
    num_key_value_heads: int = ranged(MISSING, COUNT)
    head_dim: int = ranged(MISSING, COUNT)
    vocab_size: int = ranged(MISSING, COUNT)
    tie_word_embeddings: bool = MISSING
    qk_norm: bool = True
    """Queries and keys are normalised, as in Qwen3; by its model_type, for config.json does not say it."""


@dataclass
class Model:
    """The base model, and what of it is trained."""

    name: str = named(MISSING, NAME)
    """Short name, for tables and folder names."""
    path: str | None = None
    """A local Hugging Face folder; goes before hub_id."""
    hub_id: str | None = None
    """The model's id on the hub."""
    revision: str | None = None
    """The hub commit that is meant; a moving branch cannot be locked."""
    prepare: str | None = None
    """data_prep/<prepare>.py builds the folder when it is missing."""
    params: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of that script's build()."""
    max_seq_length: int = ranged(1024, Range(2, 2**24))
    """Tokens of prompt and completion together."""
    max_completion_length: int = ranged(256, COUNT)
    """Tokens a completion may have; method.max_completion_length follows it."""
    learning_rate: dict[str, float] = field(default_factory=dict, metadata={"range": POSITIVE})
    """The learning rate to start with, by method (TRL's defaults are meant for full fine-tuning); method.learning_rate
    follows it."""
    trust_remote_code: bool = False
    """Run the Python code that lies in the model's folder or hub repository, with your rights."""
    allow_pickle: bool = False
    """Load weights that are no safetensors (``*.bin``); unpickling can run code, with your rights."""
    load_in_4bit: bool = False
    """QLoRA: the frozen base in 4 bits."""
    full_finetuning: bool = False
    """Train every weight instead of an adapter."""
    system_prompt: str | None = None
    """Goes in front of conversations that have no system message of their own."""
    start: str | None = None
    """The run whose trained weights it begins with, RUN[@step]: its adapter goes on; a model of which every weight was
    trained is the base."""
    start_sha256: str | None = None
    """The hash of these weights, filled in while composing; it is what counts, not where they lie."""
    start_merged: bool = False
    """Merge that adapter into the base first, and begin a fresh one."""
    lora: Lora = field(default_factory=Lora)
    size: Size | None = None
    """The shape that memory is estimated from: that of path/config.json where the folder exists. None: nothing is
    estimated."""


@dataclass
class Rows:
    """A locked snapshot and the script that writes it."""

    name: str = named(MISSING, NAME)
    """Short name; the snapshot lies in data/<name> unless path says otherwise."""
    type: DatasetType = MISSING
    """TRL's dataset type."""
    path: str = "data/${.name}"
    """The snapshot's folder. Another one than data/<name> must exist already."""
    prepare: str | None = None
    """data_prep/<prepare>.py writes the snapshot when it is missing."""
    params: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of that script's rows()."""
    train_rows: int | None = ranged(None, COUNT)
    """Train on the first so many rows only."""
    difficulty: list[float] | None = field(default=None, metadata={"range": SHARE})
    """Of these, train on the rows whose pass rate lies in [lowest, highest], as ``rlexp difficulty`` measured it; null:
    on all of them."""
    gold: str | None = None
    """A completion that must score high, as a template over a row's columns: what ``score`` tries the reward with."""

    @property
    def own_place(self) -> bool:
        """Says whether the snapshot lies where its script writes it."""
        return self.path == f"data/{self.name}"


@dataclass
class Part(Rows):
    """One of the data sets of a mixture."""

    weight: float = ranged(1.0, Range(0.001, 1000))
    """How often each of its training rows is used: 1 once, 2 twice, 0.5 a half of them, drawn by the run's seed."""


@dataclass
class Dataset(Rows):
    """The data of a run: one snapshot, or a mixture of several (``dataset=a+b``), a snapshot made of theirs."""

    path: str = "data/${dataset.name}"
    """The snapshot's folder. Another one than data/<name> must exist already."""
    parts: dict[str, Part] = field(default_factory=dict)
    """The data sets of a mixture, by the name that its column ``source`` calls them; of one data set none."""

    @property
    def golds(self) -> list[str]:
        """Every template of gold completions."""
        return [one.gold for one in (self, *self.parts.values()) if one.gold is not None]


@dataclass
class Term:
    """One reward function: a file in rewards/ with a ``score`` function."""

    file: str = named(MISSING, INSIDE)
    """The Python file, from the project folder."""
    weight: float = ranged(1.0, ANY)
    """The factor of its score in the sum (TRL's reward_weights)."""
    params: dict[str, Any] = field(default_factory=dict)
    """Keyword-only arguments of score()."""


class Combine(Enum):
    """The way in which the terms of a reward become one number."""

    sum = "sum"
    gate = "gate"
    normalize = "normalize"


@dataclass
class Reward:
    """The terms of the reward; ``reward=a+b`` composes them, each option owns one."""

    terms: dict[str, Term] = field(default_factory=dict)
    combine: Combine = Combine.sum
    """sum: the weighted sum. gate: the other terms count only where the gate's term holds. normalize: each term is
    standardised within its group first, so that none outweighs the others by its spread (GRPO only)."""
    gate: str = "format"
    """The term that gates."""
    gate_at: float = ranged(1.0, ANY)
    """Its score from which it holds."""
    time_limit: float = ranged(10.0, Range(0.01, 86400))
    """Seconds that one completion may take a term; more counts as a failure."""
    max_failed: float = ranged(0.05, SHARE)
    """Share of the completions scored so far that may raise, hang or die in a term before the run stops."""


@dataclass
class Hardware:
    """The machine, and what it can hold; the batch geometry is derived from it."""

    name: str = named(MISSING, NAME)
    """The concrete option; ``auto`` never reaches the record."""
    device: Device = MISSING
    """cpu or cuda."""
    devices: int = ranged(1, Range(1, 1024))
    """Data-parallel processes, one on each device."""
    rollout_devices: int = ranged(0, Range(0, 1024))
    """Devices beside these that a vLLM server (rollout=server) samples on; no training process uses them."""
    memory_gib: float | None = ranged(None, Range(1, 2**20))
    """Memory of one device that torch can use, in GiB; unknown: what a card sold with 16 GB has."""
    dtype: Dtype = Dtype.float32
    """The type the model is loaded and trained in."""
    sequences_per_device: int | None = ranged(None, COUNT)
    """Sequences (completions, or preference pairs) one device holds in a forward and backward pass; null: as many as
    fit by the estimate of ``compose.memory``. The record holds the number."""
    reward_workers: int | None = ranged(None, Range(0, 1024))
    """Processes that score completions; one for each processor where it is left open, 0 scores in the training
    process."""
    gradient_checkpointing: bool | None = None
    """Recompute activations in the backward pass: less memory, about a third more time of that pass; null: only where
    it saves passes (``compose.memory.passes``). The record holds what came of it."""


class VllmMode(Enum):
    """The place where TRL's own vLLM runs (``vllm_mode``)."""

    none = "none"
    colocate = "colocate"
    server = "server"


class Loader(Enum):
    """Whose model is trained."""

    unsloth = "unsloth"
    transformers = "transformers"


@dataclass
class Rollout:
    """The engine that samples completions while training, and the loader whose model is trained beside that sampler."""

    name: str = MISSING
    """generate, unsloth, colocate or server; ``auto`` never reaches the record."""
    why: str = ""
    """The reason for auto's choice; empty where the option was typed."""
    fast_inference: bool = False
    """Unsloth's vLLM in the process: one copy of the weights for both."""
    vllm_mode: VllmMode = VllmMode.none
    """TRL's vLLM: in the process with weights of its own (colocate), or a server on a GPU of its own."""
    loader: Loader = Loader.unsloth
    """Whose model is trained: Unsloth's, or transformers' with PEFT as TRL does it alone (GPU only)."""
    gpu_memory_utilization: float | None = ranged(None, Range(0.01, 1))
    """vLLM's share of the device memory; null: what its weights and the key-value cache of a step's completions need,
    and the record holds the number (null where vLLM does not sample)."""
    enforce_eager: bool = False
    """No CUDA graphs: starts faster, generates slower."""
    compiled: bool | None = None
    """The vLLM that starts with the run compiles the model: it starts later, and samples faster; null: where the run
    samples enough to gain by it (``compose.compiling``). The record holds what came of it, null where none starts."""
    engine: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the vLLM that starts with the run, in the names of ``vllm.LLM``; they go before those of
    TRL, Unsloth and rlexp, ``compilation_config`` key by key."""
    patches: bool = True
    """Patches of TRL, Unsloth and vLLM that save time or memory (docs/patches.md); off: none is applied, and a run that
    cannot do without one is refused."""
    seed_rows: bool | None = None
    """Every completion that transformers samples has a seed of its own, from the run's seed, the step and its row, as
    those of vLLM have; null: where a run has several devices, which so sample what one does."""
    server_url: str | None = None
    """A vLLM server that runs already (http://HOST:PORT); null: one is started with the run and ended with it."""
    server_gpu: int = ranged(1, Range(1, 1023))
    """The GPU of the server that is started, counted among the visible ones; the trainer has the first, 0."""
    server_port: int = ranged(8000, Range(1, 65535))
    """The port it listens on, on this machine only."""
    group_port: int = ranged(51216, Range(1, 65535))
    """The port where trainer and server meet to exchange weights (``vllm_group_port``)."""
    server_timeout: float = ranged(240.0, POSITIVE)
    """Seconds that the server may take until it answers."""

    @property
    def vllm(self) -> bool:
        """Says whether vLLM samples, wherever it runs."""
        return self.fast_inference or self.vllm_mode is not VllmMode.none

    @property
    def in_process(self) -> bool:
        """Says whether vLLM samples in the process that trains, and on its device."""
        return self.fast_inference or self.vllm_mode is VllmMode.colocate

    @property
    def address(self) -> str:
        """The address at which the server answers."""
        return (self.server_url or f"http://127.0.0.1:{self.server_port}").rstrip("/")


@dataclass
class Tracking:
    """The trackers that metrics go to besides the run folder's metrics.jsonl."""

    report_to: list[str] = field(default_factory=list)
    """wandb, trackio, tensorboard; and integrations of transformers (mlflow)."""
    project: str = "rlexp"
    """The project's name at the tracker."""
    time_limit: float = ranged(30.0, Range(0, 86400, above=True))
    """Seconds that a tracker has to end in once the run did; it is killed then, and the run says so."""


class Draw(Enum):
    """Says which rows of the test split are held-out rows."""

    prompt_hash = "prompt_hash"
    first = "first"


@dataclass
class HeldOut:
    """The comparison before and after training, on prompts that were not trained on."""

    rows: int = ranged(128, COUNT_FROM_0)
    """Rows of the test split, at most; 0 skips the comparison."""
    draw: Draw = Draw.prompt_hash
    """prompt_hash: by the hash of the prompts, source by source; one half of the split is compared before and after
    (report), the other is measured on the way (select). first: the first rows, for both."""
    temperature: float = ranged(1.0, FROM_0)
    """Sampling temperature; 0 is greedy."""
    max_new_tokens: int = ranged("${oc.select:method.max_completion_length,${model.max_completion_length}}", COUNT)
    """Tokens a completion may have."""
    samples: int = ranged(3, COUNT_FROM_0)
    """Completions shown before and after."""
    every: int = ranged(0, COUNT_FROM_0)
    """Steps between measurements of the half ``select`` while training, logged as held_out/<term>; 0: none. They change
    nothing in training, and health compares the trained reward with them."""
    task: str | None = None
    """The eval task (``eval/NAME.yaml``) whose rows and rewards are measured on the way; null: the held-out rows."""
    metric: str = "reward"
    """What the best checkpoint is chosen by: ``reward``, or a term of what is measured."""
    keep: int = ranged(3, COUNT_FROM_0)
    """Measured checkpoints that are kept for their mean, the highest so many; and always the one that would be chosen
    now. They lie beside the newest ones (``method.save_total_limit``)."""


class When(Enum):
    """Says when the smoke steps run in front of a training run."""

    auto = "auto"
    always = "always"
    never = "never"


@dataclass
class Preflight:
    """The checks and smoke steps before a run."""

    smoke: When = When.auto
    """auto: unless these inputs and settings passed one before, or the run is no longer than a smoke itself."""
    smoke_steps: int = ranged(12, Range(3, 1000))
    """Optimizer steps of a smoke: 10 to 30; at least 3, of which the second is the one of full length."""


@dataclass
class Limits:
    """The limits of one health rule: the steps its number is taken over, and where it warns and stops."""

    steps: int = ranged(1, COUNT)
    """Logged steps that the number is taken over; rules that count steps in a row take all of them."""
    warn: float | None = ranged(None, ANY)
    """The number from which the rule warns, once; null: never. Where low numbers are bad, the number down to which."""
    stop: float | None = ranged(None, ANY)
    """The number from which the rule stops the run; null: never."""


@dataclass
class Health:
    """The rules that watch a run while it trains: where each warns, and where it stops the run."""

    name: str = "off"
    """The option's name; a lock from before there were rules has none, and is replayed without."""
    rules: dict[str, Limits] = field(default_factory=dict)
    """Rule -> its limits; a rule that is not named does not watch. ``rlexp.health.rules`` says what each measures."""


@dataclass
class Invocation:
    """How a command is started: it stands beside the Run, and no lock, record of a config or identity holds it."""

    offline: bool = False
    """Ask nothing of the hub; what its cache on this machine holds is used."""


@dataclass
class Cache:
    """Where the kernels that a run compiles are kept; as how it is started, no lock or identity holds it."""

    dir: str | None = None
    """The folder, which can be kept and carried to another machine of its kind; a relative one lies in the project.
    null: ``~/.cache/rlexp/compiled``, or what RLEXP_CACHE_DIR names."""
    max_gib: float | None = ranged(None, Range(0.1, 10**6))
    """GiB that it holds at most: what is over is dropped at the end of a run on a GPU, the oldest first. null: 20."""


@dataclass
class RunSchema:
    """The composed tree: the Run, and beside it how it is started."""

    seed: int = ranged(0, Range(0, 2**32 - 1))
    """Seeds the adapter, the data order and the sampling."""
    model: Model = field(default_factory=Model)
    method: Any = None
    dataset: Dataset = field(default_factory=Dataset)
    reward: Reward = field(default_factory=Reward)
    hardware: Hardware = field(default_factory=Hardware)
    rollout: Rollout = field(default_factory=Rollout)
    tracking: Tracking = field(default_factory=Tracking)
    held_out: HeldOut = field(default_factory=HeldOut)
    preflight: Preflight = field(default_factory=Preflight)
    health: Health = field(default_factory=Health)
    invocation: Invocation = field(default_factory=Invocation)
    cache: Cache = field(default_factory=Cache)
    max_minutes: float | None = ranged(None, Range(0.01, 10**6))
    """Minutes from the start of the command after which the run ends with the step it is at, saved: status
    ``interrupted``; null: no limit."""
    fork: str | None = None
    """RUN@STEP: the run, as it is named from the project, from whose checkpoint this one begins."""
    fork_sha256: str | None = named(None, SHA256)
    """The hash of that checkpoint; only it counts in the identity."""
