"""The exercise to fill in: filled in by openpyxl, computed by LibreOffice."""

import openpyxl
import pytest

from backprop.exercise import write_exercise
from backprop.network import Problem

COLUMNS = (
    "t1 t2 i1 i2 w1 w2 w3 w4 h1 a_h1 h2 a_h2 w5 w6 w7 w8 o1 a_o1 o2 a_o2 E1 E2 E_total "
    "∂E/∂w1 ∂E/∂w2 ∂E/∂w3 ∂E/∂w4 ∂E/∂w5 ∂E/∂w6 ∂E/∂w7 ∂E/∂w8"
).split()
LETTERS = dict(zip(COLUMNS, [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "AA", "AB", "AC", "AD", "AE"]))
FIRST, LAST = 13, 33
# As a learner types them in row 13, and the weights in row 14.
TYPED = {
    "h1": "=E13*C13+F13*D13", "a_h1": "=1/(1+EXP(-I13))",
    "h2": "=G13*C13+H13*D13", "a_h2": "=1/(1+EXP(-K13))",
    "o1": "=M13*J13+N13*L13", "a_o1": "=1/(1+EXP(-Q13))",
    "o2": "=O13*J13+P13*L13", "a_o2": "=1/(1+EXP(-S13))",
    "E1": "=(A13-R13)^2/2", "E2": "=0.5*(B13-T13)^2", "E_total": "=U13+V13",
    "∂E/∂w1": "=((R13-A13)*R13*(1-R13)*M13+(T13-B13)*T13*(1-T13)*O13)*J13*(1-J13)*C13",
    "∂E/∂w2": "=((R13-A13)*R13*(1-R13)*M13+(T13-B13)*T13*(1-T13)*O13)*J13*(1-J13)*D13",
    "∂E/∂w3": "=((R13-A13)*R13*(1-R13)*N13+(T13-B13)*T13*(1-T13)*P13)*L13*(1-L13)*C13",
    "∂E/∂w4": "=((R13-A13)*R13*(1-R13)*N13+(T13-B13)*T13*(1-T13)*P13)*L13*(1-L13)*D13",
    "∂E/∂w5": "=(R13-A13)*R13*(1-R13)*J13", "∂E/∂w6": "=(R13-A13)*R13*(1-R13)*L13",
    "∂E/∂w7": "=(T13-B13)*T13*(1-T13)*J13", "∂E/∂w8": "=(T13-B13)*T13*(1-T13)*L13",
    "w1": "=E13-$B$6*X13", "w2": "=F13-$B$6*Y13", "w3": "=G13-$B$6*Z13", "w4": "=H13-$B$6*AA13",
    "w5": "=M13-$B$6*AB13", "w6": "=N13-$B$6*AC13", "w7": "=O13-$B$6*AD13",
    "w8": "=P13-$B$6*AE13",
}  # fmt: skip
