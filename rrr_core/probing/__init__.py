"""Whether a model can learn on a task, from a small sample of what training would meet. Imports no torch.

`rrr check --model` decides by it whether a task is fit to train on, `rrr probe` whether this model will learn there.
"""
