"""Run folders: their layout, their stages, and files that are whole or absent."""
