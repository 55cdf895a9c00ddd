"""The numbers that `check` decides by, and where each comes from.

"Published" means the 140 workbooks of `results/survey.csv`.
"""

# --- Files: anybody's may come, so none may take all memory or time ---------------------------

MOST_BYTES = 40_000_000  # of a workbook, unpacked; the largest published one has 8 million
MOST_CELLS = 400_000  # of a workbook; the largest published one has 88,000
MOST_TABLES = 200  # of a workbook; the most published is 8
LARGEST_NUMBER = 1e300  # in a cell; spreadsheets end at 1e308, and sums must stay below
WIDEST = 400  # cells of one range or array; the exercise needs the rows of a column at most
LONGEST = 8_192  # characters of a formula; Excel's own limit
NESTED = 48  # brackets within brackets; Excel allows 64 functions, and Python's stack must do
DEEPEST = 100  # calls within calls, over all cells that lead from one to the next; likewise
LARGEST_TREE = 5_000  # nodes; a gradient with all columns put in that may lack has 300
MOST_STEPS = 100_000  # cells outside of the tables that are followed for one workbook

# --- Tables -----------------------------------------------------------------------------------

LONGEST_HEADER = 300  # characters; some published headers hold a whole formula
LONGEST_LABEL = 60  # characters of a learning rate's label; longer texts are explanations
FEWEST = 12  # named columns, one of them computed, that make a row a header; legends name fewer
EXPLANATION_ROWS = 5  # at most, between header and numbers; published sheets have one
LABEL_LEFT, LABEL_ABOVE = 3, 19  # cells to the left of an input and above it that may name it
MOST_HYPOTHESES = 16  # of one table that are compared: of four doubtful headers
UNUSUAL = 2  # wrong columns that another numbering must explain; two may be one slip, made twice
FIRST_ROWS = 2  # by which they are compared: a row, and one whose weights have moved
FEW = 4  # formulas below a table, in its columns, that look like a row of it
MANY = 10  # formulas in a line that look like a row of the table, which has 27
MOST_AGREE = 5  # of eight weights whose formulas must use a rate, for it to count before a label

# --- Formulas ---------------------------------------------------------------------------------

POINTS = 3  # made-up rows; a wrong formula would have to agree with the right one at all of them
# How far a formula may be from the right one, as a share of what it computes: far less than any
# slip, but enough for an e that was typed as 2.71828.
CLOSE = 1e-4
SAME = 1e-6  # how far two formulas may be apart that compute the same, as a share
MOST_LEAVES = 30  # of a right formula, with the columns put in that lack, that is changed inside
MOST_PLACES = 4  # of one cell in a formula, of which every choice is tried
MOST_TOLD = 3  # different mistakes of one column that are explained

# --- Saved numbers ----------------------------------------------------------------------------

DIGITS = 15  # significant digits that a spreadsheet shows; past them there is binary noise
FLOAT32 = 1e-7  # share of a number that single precision may be off: 2⁻²⁴, with the last step
RELATIVE, FLOOR = 1e-6, 1e-14  # of a computed value: a share, for float32, and at least
BLUNT = 0.008  # largest rounding that allows a verdict, as a share of a value or a weight's change
START = 1e-6  # share that a number may be off from the one that a sheet must start from
