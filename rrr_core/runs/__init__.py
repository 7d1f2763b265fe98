"""Run folders: their layout, their stages, and atomic file writes."""
