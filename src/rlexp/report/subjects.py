"""What a trainer logs, by subject: a chart each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Subject:
    """A chart of what a trainer logs, by its names."""

    id: str
    title: str
    about: str
    keys: tuple[str, ...]
    """TRL's names; ``*`` stands for any one part."""
    smooth: bool = True
    points: bool = False
    share: bool = False
    """Its values lie in 0 to 1."""


SUBJECTS = (
    Subject("reward", "Reward by term", "mean of a step", ("reward", "rewards/*/mean")),
    Subject("margins", "Reward margin", "chosen less rejected, by the implicit reward", ("rewards/margins",)),
    Subject("accuracies", "Accuracy", "pairs in which the chosen is preferred", ("rewards/accuracies",), share=True),
    Subject("sides", "Implicit rewards", "of the two sides", ("rewards/chosen", "rewards/rejected")),
    Subject("logps", "Log-probabilities", "of the two sides", ("logps/chosen", "logps/rejected")),
    Subject("held_out", "Held out on the way", "measured while it trained", ("held_out/*",), False, True),
    Subject("source", "Reward by part of the mixture", "mean of a step", ("source/*/reward",)),
    Subject(
        "length",
        "Completion length",
        "tokens",
        ("completions/mean_length", "completions/min_length", "completions/max_length"),
    ),
    Subject("clipped", "Clipped share", "completions that the limit ended", ("completions/clipped_ratio",), share=True),
    Subject("kl", "KL", "from the reference model", ("kl",)),
    Subject("entropy", "Entropy", "of the policy, a token", ("entropy",)),
    Subject("loss", "Loss", "as the trainer logs it", ("loss",)),
    Subject("token_accuracy", "Token accuracy", "of the next token", ("mean_token_accuracy",), share=True),
    Subject(
        "unequal", "Groups without signal", "share whose rewards are all equal", ("frac_reward_zero_std",), share=True
    ),
    Subject("spread", "Spread of the reward", "standard deviation", ("reward_std", "rewards/*/std")),
    Subject("clip_ratio", "Clipped ratios", "share of tokens", ("clip_ratio/*",), share=True),
    Subject("grad_norm", "Gradient norm", "before clipping", ("grad_norm",)),
    Subject("learning_rate", "Learning rate", "as scheduled", ("learning_rate",), False),
)
"""The charts in their order; one without data is absent."""
MAIN = ("reward", "margins", "accuracies", "length", "clipped", "kl", "entropy", "loss", "token_accuracy")
"""Those that runs are laid over each other in, and the seeds of a sweep are folded in."""
