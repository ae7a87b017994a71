"""The parity gate: each artifact, in its own runtime, against the model as it was trained."""
