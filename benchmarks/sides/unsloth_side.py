"""GRPO, DPO or ORPO by hand with Unsloth, as its notebooks do it: one script, for GRPO vLLM inside (fast_inference).
Several trainers after each other on the same loaded model, where the job names several phases.

Usage: python benchmarks/sides/unsloth_side.py JOB.json (written by grpo_gpu.py or preference_gpu.py)
"""

import dataclasses
import gc
import os
from pathlib import Path


def main() -> None:
    """Loads, then trains when its turns come."""
    import by_hand
    import turn
    import work

    spec = turn.job()
    method = spec["method"]

    import unsloth  # isort: skip

    if method == "dpo" and hasattr(unsloth, "PatchDPOTrainer"):
        unsloth.PatchDPOTrainer()
    import torch

    from rlexp.build import rollout
    from rlexp.train.step_time import StepTime

    shape = whole = work.Shape(**spec["shape"])
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
    model = unsloth.FastLanguageModel.get_peft_model(
        model,
        r=work.RANK,
        lora_alpha=work.ALPHA,
        target_modules=work.TARGETS,
        use_gradient_checkpointing=load["use_gradient_checkpointing"],
        random_state=0,
    )
    for number, phase in enumerate(spec["phases"]):
        os.environ.update(phase["env"])
        then = phase["then"]
        shape = dataclasses.replace(whole, micro=then.get("micro", whole.micro))
        model._unsloth_gradient_checkpointing = (
            load["use_gradient_checkpointing"] if then.get("checkpointing", True) else False
        )
        asked = {**work.arguments(method, shape, spec["max_steps"], spec["vllm"]), **phase["arguments"]}
        times: list[StepTime] = []
        keeper = turn.callback(
            spec, phase["name"], number == len(spec["phases"]) - 1, lambda times=times: times[0].steps if times else []
        )
        said = work.whole(method, shape, asked, folder, spec["vllm"], cuda, spec["max_length"])
        trainer = trainer_class(
            model=model,
            processing_class=tokenizer,
            args=config_class(**{**said, **phase["arguments"]}),
            callbacks=[keeper],
            **by_hand.learnt_from(method, project),
        )
        if then.get("prepare"):
            rollout.prepare(trainer, None)
        times.append(StepTime(trainer))
        trainer.add_callback(times[0])
        trainer.train()
        for name in phase["env"]:
            os.environ.pop(name, None)
        del trainer
        gc.unfreeze()
        gc.collect()


if __name__ == "__main__":
    main()
