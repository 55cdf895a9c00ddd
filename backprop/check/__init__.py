"""Which cells of somebody's sheet are wrong, and what the slip may be.

In the order of reading: `book` reads the file, `formula` turns its formulas into trees, `right`
writes the right ones from `network.py`. `find` and `place` say where the exercise stands, `table`
names its cells. `judge` gives the verdict on each cell by what its formula computes at made-up
rows, `values` on saved numbers within their rounding. `slips` names the change that makes a
formula wrong. `words`, `report` and `mark` report it; `workbook` checks one file, `files` several,
and `command` is what the command line calls.
"""
