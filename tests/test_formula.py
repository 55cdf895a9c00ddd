"""Formulas read and evaluated as a spreadsheet does: LibreOffice is the judge."""

import openpyxl
import pytest

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
            sheet[f"F{line}"] = openpyxl.worksheet.formula.ArrayFormula(f"F{line}", f"={formula}")
    for title in ("Other", "It's"):
        workbook.create_sheet(title).append([7, 9])
    names = workbook.defined_names
    names["the_rate"] = openpyxl.workbook.defined_name.DefinedName(
        "the_rate", attr_text="Other!$B$1"
    )
    names["twice"] = openpyxl.workbook.defined_name.DefinedName("twice", attr_text="2*Mine!$C$1")
    workbook.save(path)
    return read_book(recalculate(path))


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_computes_what_the_spreadsheet_computes(formula, calculated):
    cell = ("Mine", 10 + FORMULAS.index(formula), 5)
    tree = Formulas(calculated).follow(cell, lambda cell: None, {})
    assert evaluate(tree, {}) == pytest.approx(calculated.number(cell), rel=1e-12)


def test_cells_of_a_table_become_symbols(calculated):
    def symbol_at(cell):
        return Symbol("abcd"[cell[2]], cell[1] - 10) if cell[1] < 2 and cell[2] < 4 else None

    at = ("Mine", 10 + FORMULAS.index("SUMPRODUCT(A1:D1,A2:D2)"), 5)
    tree = Formulas(calculated).follow(at, symbol_at, {})
    assert len(symbols(tree)) == 8
    through = ("Mine", 10 + FORMULAS.index("E3+1"), 5)
    assert symbols(Formulas(calculated).follow(through, symbol_at, {})) == {Symbol("a", -10)}


@pytest.mark.parametrize(
    ("formula", "fact"),
    [
        ("VLOOKUP(A1,B1:C2,2)", "VLOOKUP"),
        ("A1&B1", "&"),
        ("Nowhere!A1", ""),
        ("no_such_name+1", "no_such_name"),
        ("EXP()", ""),
        ("A1*)(", ""),
        ("A1:B2+1", ""),
    ],
)
def test_what_cannot_be_evaluated_says_why(formula, fact, make_sheet):
    book = read_book(make_sheet(lambda sheet: sheet.write_formula("F11", f"={formula}", None, 1)))
    with pytest.raises(Unevaluable, match=f".*{fact}.+"):
        Formulas(book).follow(("Mine", 10, 5), lambda cell: None, {})


def test_copies_to_the_right_have_ranges_of_their_own():
    shared = Formula("=SUM($A1:A1)", (0, 4))
    values = {("Mine", 0, column): column + 1.0 for column in range(3)}
    cells = [("Mine", 0, column) for column in (4, 5, 6)]
    formulas = Formulas(Book(["Mine"], dict.fromkeys(cells, shared), values))
    trees = [formulas.follow(cell, lambda cell: None, {}) for cell in cells]
    assert [evaluate(tree, {}) for tree in trees] == [1, 3, 6]


def test_names_that_double_one_another_are_too_many():
    names = {"x_0": "1"} | {f"x_{it + 1}": f"x_{it}+x_{it}" for it in range(40)}
    cell = ("Mine", 0, 0)
    book = Book(["Mine"], {cell: Formula("=x_40", (0, 0))}, {}, names)
    with pytest.raises(Unevaluable):
        Formulas(book).follow(cell, lambda cell: None, {})
