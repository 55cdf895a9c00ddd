"""Formulas read and evaluated as a spreadsheet does: LibreOffice is the judge."""

import openpyxl
import pytest
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.formula import ArrayFormula

from backprop.check.book import Book, Formula, read_book
from backprop.check.formula import Formulas, Symbol, Unevaluable, evaluate, symbols

FORMULAS = [
    "-2^2", "2^3^2", "-A1^2*3", "2*-A1", "--A1", "+A1-+B1", "50%", "A1%*2", "10%^2", "1-2-3",
    "8/4/2", "2+3*4^2", "(2+3)*4", "A1*B1+C1/D1", "A1-(B1-C1)", "1/(1+EXP(-A1))", "exp(a1)",
    "POWER(A1,3)",
    "SUM(A1:D1)", "SUM(A1:B2,5)", "SUM($A$1:B$2)*2", "PRODUCT(A1:B1,2)", "SUMPRODUCT(A1:D1,A2:D2)",
    "SUMSQ(A1:C1)", "AVERAGE(A1:D1)", "MAX(A1:D2)", "MIN(A1,B2,3)", "SQRT(B1)+ABS(-2)", "SIGN(-3)",
    "LN(B1)+LOG10(C1)+LOG(8,2)+LOG(100)", "TANH(A1)", "ROUND(3.14159,2)", "INT(-1.5)", "PI()",
    "IF(A1<B1,1,2)", "IF(A1>=B1,1,2)", "IF(A1<>B1,C1)", "(A1=A1)*3", "ROW()", "1E-3*2",
    "Other!A1*2", "'It''s'!B1", "the_rate*2", "twice", "A1*SUM(1,2*(3+4))", "E3+1",
    "SUM(A1:A2*B1:B2)",
]  # fmt: skip


@pytest.fixture(scope="module")
def calculated(tmp_path_factory, recalculate):
    """A workbook with a formula per row, computed by LibreOffice."""
    path = tmp_path_factory.mktemp("formulas") / "formulas.xlsx"
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.title = "Mine"
    for row in ([0.3, 1.7, 2.5, 4.0], [1.1, -0.4, 0.9, 2.2], [None, None, None, None, "=A1+1"]):
        sheet.append(row)
    for line, formula in enumerate(FORMULAS, start=11):
        sheet[f"F{line}"] = f"={formula}"
        if formula.startswith("SUM(A1:A2*"):
            sheet[f"F{line}"] = ArrayFormula(f"F{line}", f"={formula}")
    for title in ("Other", "It's"):
        workbook.create_sheet(title).append([7, 9])
    for name, meaning in (("the_rate", "Other!$B$1"), ("twice", "2*Mine!$C$1")):
        workbook.defined_names[name] = DefinedName(name, attr_text=meaning)
    workbook.save(path)
    return read_book(recalculate(path))


def followed(book, cell, symbol_at=lambda cell: None):
    return Formulas(book).follow(cell, symbol_at, {})


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_computes_what_the_spreadsheet_computes(formula, calculated):
    cell = ("Mine", 10 + FORMULAS.index(formula), 5)
    tree = followed(calculated, cell)
    assert evaluate(tree, {}) == pytest.approx(calculated.number(cell), rel=1e-12)


def test_cells_of_a_table_become_symbols(calculated):
    def symbol_at(cell):
        return Symbol("abcd"[cell[2]], cell[1] - 10) if cell[1] < 2 and cell[2] < 4 else None

    for formula, count in (("SUMPRODUCT(A1:D1,A2:D2)", 8), ("E3+1", 1)):
        found = symbols(followed(calculated, ("Mine", 10 + FORMULAS.index(formula), 5), symbol_at))
        assert Symbol("a", -10) in found
        assert len(found) == count


X_40 = {"x_0": "1"} | {f"x_{index + 1}": f"x_{index}+x_{index}" for index in range(40)}
UNEVALUABLE = {
    "VLOOKUP(A1,B1:C2,2)": "VLOOKUP", "A1&B1": "&", "Nowhere!A1": "a sheet that does not exist",
    "no_such_name+1": "no_such_name", "EXP()": "not valid", "A1*)(": "not valid",
    "A1:B2+1": "where a single cell belongs", "SUM(1": "not valid", "x_40": "too many other cells",
}  # fmt: skip


@pytest.mark.parametrize("formula", UNEVALUABLE)
def test_what_cannot_be_evaluated_says_why(formula):
    cell = ("Mine", 10, 5)
    book = Book(["Mine"], {cell: Formula(f"={formula}", cell[1:])}, {}, X_40)
    with pytest.raises(Unevaluable, match=UNEVALUABLE[formula]):
        followed(book, cell)


def test_copies_to_the_right_have_ranges_of_their_own():
    cells = [("Mine", 0, column) for column in range(7)]
    formulas = dict.fromkeys(cells[4:], Formula("=SUM($A1:A1)", (0, 4)))
    book = Book(["Mine"], formulas, dict(zip(cells, (1.0, 2.0, 3.0), strict=False)))
    assert [evaluate(followed(book, cell), {}) for cell in cells[4:]] == [1, 3, 6]
