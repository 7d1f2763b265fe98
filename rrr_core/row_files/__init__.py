"""Rows from files, rows from a hub, and the options that choose between them: for plugin authors.

    SHAPE = RowShape(columns=("question", "answer"), checked=checked)
    rows = (row for _, row in read_rows(Path("trivia"), SHAPE, split))

`checked` returns the row in a record, or raises RowError saying what is wrong; the place is added here. A path is a
file, a folder with `train.SUFFIX` and `test.SUFFIX`, or a folder that `datasets.save_to_disk` wrote. A single file has
no splits: `bucket_of` assigns them.
`DataOptions` reads a task's `--data` options; `load_table` and `rows_of_table` read a data set on a hub.
`rows_of_process` and `write_rows` make rows in a process of their own.
"""

from rrr_core.row_files.folders import path_in_folder, read_rows
from rrr_core.row_files.hub import load_table, rows_of_table
from rrr_core.row_files.options import FILE, FOLDER, GENERATED, HUB, KINDS, DataOptions, require_known
from rrr_core.row_files.processes import rows_of_process, write_rows
from rrr_core.row_files.reading import (
    READERS,
    WANTED_SUFFIXES,
    PlacedRow,
    Record,
    RowError,
    RowShape,
    as_it_is,
    bucket_of,
    excerpt,
    listed,
    names,
    read_csv,
    read_json_array,
    read_json_lines,
    read_parquet,
    require_columns,
    row_at,
)
from rrr_core.row_files.row_json import decode as decode_json

__all__ = [
    "FILE",
    "FOLDER",
    "GENERATED",
    "HUB",
    "KINDS",
    "READERS",
    "WANTED_SUFFIXES",
    "DataOptions",
    "PlacedRow",
    "Record",
    "RowError",
    "RowShape",
    "as_it_is",
    "bucket_of",
    "decode_json",
    "excerpt",
    "listed",
    "load_table",
    "names",
    "path_in_folder",
    "read_csv",
    "read_json_array",
    "read_json_lines",
    "read_parquet",
    "read_rows",
    "require_columns",
    "require_known",
    "row_at",
    "rows_of_process",
    "rows_of_table",
    "write_rows",
]
