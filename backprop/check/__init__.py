"""Which cells of somebody's sheet are wrong, and what the slip may be.

Six steps lead from a file to a sentence. Each module imports only those that are named before it
(and `limits`, the numbers that they decide by).

1. The sheet: `book` reads the cells of a file, `formula` reads formulas into trees.
2. The tables: `answers` says what belongs in each column. `headers` finds the rows that name
   columns, whatever people call them, `layout` the cells of each, and `rate` the learning rate.
   `tables` lists the tables that may be meant: hypotheses, for where a header is in doubt.
3. The verdicts: `judge` takes the table with the fewest mistakes, and gives a verdict on each cell.
   `gaps` finds rows that belong to no table.
4. The slips: `slips` looks for the change of the right formula that computes what a wrong one
   does, `words` says it.
5. The report: `findings` puts together what was found in a file, `report` writes it as text and
   CSV, `mark` into a copy of the workbook.
6. `command` does so for many files.

An example, from a formula to a slip. In a row of the sheet, w3 and w4 stand in H5 and I5, the
inputs in D5 and E5:

>>> from backprop.check.answers import NOTHING, computes, outcome, right_tree
>>> from backprop.check.formula import Symbol, read
>>> from backprop.check.slips import slip_of_formula
>>> from backprop.check.words import in_words, written
>>> cells = {"H5": "w3", "I5": "w4", "D5": "i1", "E5": "i2"}
>>> tree = read("=H5*D5+H5*E5", lambda name: Symbol(cells[name], 0))
>>> tree.name, tree.args[0]
('+', Call(name='*', args=(Symbol(column='w3', below=0), Symbol(column='i1', below=0))))

At made-up rows it computes something else than the right formula of h2. Of all changes of the
right one, the first that computes the same is the slip:

>>> written(right_tree("h2"))
'w3·i1 + w4·i2'
>>> outcome(tree).round(2), outcome(right_tree("h2")).round(2)
(array([ 0.69, -0.86, -0.08]), array([ 0.35,  0.72, -0.03]))
>>> computes("h2", tree, frozenset(), NOTHING)
False
>>> in_words(slip_of_formula("h2", tree, frozenset(), NOTHING, eta=None), lambda cell: cell.column)
'uses w3 where w4 belongs'
"""
