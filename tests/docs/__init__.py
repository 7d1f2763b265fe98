"""The documentation's tests: pages, links, snippets and commands are what the code is."""
