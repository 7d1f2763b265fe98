"""Forgetting: what a model answers on general benchmarks before and after training, item by item, through lm-eval.

Importing this imports neither lm-eval nor torch. docs/evaluation.md explains the figures.
"""
