"""Tests of the documentation: its pages, links, snippets and commands match the code."""
