"""Settings: options defined once as dataclass fields and read from the command line and from files."""
