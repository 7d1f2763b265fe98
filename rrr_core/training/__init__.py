"""Training: masked GRPO on TRL. The only room that imports it; its `settings` modules import no torch."""
