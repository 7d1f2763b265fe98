"""Training: masked GRPO on TRL. The only room that imports it; its `settings` modules import no torch.

Shapes, here and in `rrr_core.generation`, are written beside their tensors with one list of letters:

    B  rows of a batch        N  tokens of a packed row      H  heads
    G  reflections, a group   D  distinct prompts            K  key-value heads
    P  prompt tokens          V  vocabulary                  T  keys: columns of a cache
    R  completion tokens      d  head width                  Q  queries
    I  a weight's inputs      O  its outputs                 W  columns of a tile
"""
