"""GRPO, DPO or ORPO by hand with Unsloth, as its notebooks do it: one script, for GRPO vLLM inside (fast_inference).

Usage: python perf/sides/unsloth_side.py JOB.json (written by grpo_gpu.py or preference_gpu.py)
"""

import os
from pathlib import Path


def main() -> None:
    """Loads, then trains when its turns come."""
    import by_hand
    import turn
    import work

    spec = turn.job()
    method = spec["method"]
    kernels = {name: os.environ[name] for name in work.CACHES if name in os.environ}

    import unsloth  # isort: skip

    if method == "dpo" and hasattr(unsloth, "PatchDPOTrainer"):
        unsloth.PatchDPOTrainer()
    import torch

    from rlexp.train.step_time import StepTime

    shape = work.Shape(**spec["shape"])
    folder, project = Path(spec["folder"]), Path(spec["project"])
    cuda = torch.cuda.is_available()
    trainer_class, config_class = by_hand.classes(method)
    engine = {}
    if spec["vllm"]:
        engine = {
            "fast_inference": True,
            "gpu_memory_utilization": work.UNSLOTH_SHARE,
            "max_lora_rank": work.RANK,
            # Else it follows from a guess of the memory left, and a small share decodes in several waves.
            "max_num_seqs": shape.sequences,
            "max_num_batched_tokens": 4096,  # likewise, and TRL's number
        }
    load = {"use_gradient_checkpointing": "unsloth" if shape.checkpointing else False, **spec["load"]}
    with turn.engine(spec):
        model, tokenizer = unsloth.FastLanguageModel.from_pretrained(
            model_name=spec["model"],
            max_seq_length=spec["max_length"],
            dtype=torch.bfloat16 if cuda else torch.float32,
            load_in_4bit=False,
            **{**engine, **load},
        )
    os.environ |= kernels  # vLLM and Unsloth point elsewhere, where rlexp would not find what this side compiled
    model = unsloth.FastLanguageModel.get_peft_model(
        model,
        r=work.RANK,
        lora_alpha=work.ALPHA,
        target_modules=work.TARGETS,
        use_gradient_checkpointing=load["use_gradient_checkpointing"],
        random_state=0,
    )
    asked = {**work.arguments(method, shape, spec["max_steps"], spec["vllm"]), **spec["arguments"]}
    said = work.whole(method, shape, asked, folder, spec["vllm"], cuda, spec["max_length"])
    times: list[StepTime] = []
    turns = turn.callback(spec, lambda: times[0].steps if times else [])
    trainer = trainer_class(
        model=model,
        processing_class=tokenizer,
        args=config_class(**{**said, **spec["arguments"]}),
        callbacks=[turns],
        **by_hand.learnt_from(method, project),
    )
    times.append(StepTime(trainer))
    trainer.add_callback(times[0])
    turns.watch(trainer).train()


if __name__ == "__main__":
    main()
