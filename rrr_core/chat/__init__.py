"""What a model's chat template decides: prompts, thoughts, tools, turn ends, and what follows after sampled ids."""
