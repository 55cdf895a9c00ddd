"""The slips that `check` names, and how often Hypothesis tries them in sheets of other manners."""

from hypothesis import HealthCheck, settings

from tests.sheets import FORMULAS, TO_O1, TO_O2

SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[*HealthCheck])

# By kind, what is used and what belongs there, as `findings.slips` gives them. The test of the
# report shows the last of each column.
SLIPS = {
    ("replaced", "w5", "w6"): ("o1", "{w5}*{a_h1}+{w5}*{a_h2}"),
    ("extra factor", "−3", ""): ("h1", "-3*({w1}*{i1}+{w2}*{i2})"),
    ("replaced", "i1", "i2"): ("h1", "{w1}*{i1}+{w2}*{i1}"),
    ("replaced", "w4", "w3"): ("h2", "{w4}*{i1}+{w4}*{i2}"),
    ("replaced", "w6", "w5"): ("∂E/∂w1", FORMULAS["∂E/∂w1"].replace("w5", "w6")),
    ("replaced", "a_h1", "a_h2"): ("∂E/∂w3", FORMULAS["∂E/∂w3"].replace("a_h2", "a_h1")),
    ("replaced", "t1", "t2"): ("∂E/∂w7", FORMULAS["∂E/∂w7"].replace("t2", "t1")),
    ("replaced", "h2", "a_h2"): (
        "∂E/∂w4", f"({TO_O1}*{{w6}}+{TO_O2}*{{w8}})*{{h2}}*(1-{{h2}})*{{i2}}"),
    ("replaced", "0.3", "i2"): ("h2", "{w3}*{i1}+{w4}*0.3"),
    ("extra term", "2", ""): ("h2", "{w3}*{i1}+{w4}*{i2}+2"),
    ("net inputs", "", ""): ("∂E/∂w4", FORMULAS["∂E/∂w4"].replace("{a_", "{")),
    ("missing term", "", "w8·a_h2"): ("o2", "{w7}*{a_h1}+0*{a_h2}"),
    ("missing term", "", "E2"): ("E_total", "1*{E1}"),
    ("missing factor", "", "0.5"): ("E1", "1*({t1}-{a_o1})^2"),
    ("missing power", "", "(t2 − a_o2)²"): ("E2", "0.5*({t2}-{a_o2})"),
    ("twice", "", "0.5"): ("E1", "(0.5*({t1}-{a_o1}))^2"),
    ("operation", "E1 − E2", "E1 + E2"): ("E_total", "{E1}-{E2}"),
    ("operation", "E1^E2", "E1 + E2"): ("E_total", "{E1}^{E2}"),
    ("no sigmoid", "", ""): ("a_h1", "1*{h1}"),
    ("brackets", "1/1 + EXP(−o1)", "1/(1 + EXP(−o1))"): ("a_o1", "1/1+EXP(-{o1})"),
    ("other function", "tanh", ""): ("a_o1", "(EXP(2*{o1})-1)/(EXP(2*{o1})+1)"),
    ("sign", "", "−h2"): ("a_h2", "1/(1+EXP({h2}))"),
    ("missing function", "", "−o2"): ("a_o2", "1/(1-{o2})"),
    ("sign", "", ""): ("∂E/∂w5", "({t1}-{a_o1})*{a_o1}*(1-{a_o1})*{a_h1}"),
    ("missing factor", "", "a_o1·(1 − a_o1)"): ("∂E/∂w5", "({a_o1}-{t1})*{a_h1}"),
    ("missing factor", "", "1 − a_o2"): ("∂E/∂w7", "({a_o2}-{t2})*{a_o2}*{a_h1}"),
    ("missing factor, both", "", "1 − a_o1"): (
        "∂E/∂w2", "(({a_o1}-{t1})*{a_o1}*{w5}+({a_o2}-{t2})*{a_o2}*{w7})*{a_h1}*(1-{a_h1})*{i2}"),
    ("missing factor", "", "i1"): (
        "∂E/∂w1", f"({TO_O1}*{{w5}}+{TO_O2}*{{w7}})*{{a_h1}}*(1-{{a_h1}})"),
    ("twice", "", "a_h2"): ("∂E/∂w8", f"{TO_O2}*{{a_h2}}*{{a_h2}}"),
    ("extra factor", "2", ""): ("∂E/∂w8", f"2*{FORMULAS['∂E/∂w8']}"),
    ("brackets", "(a_o1 − t1)·a_o1·1 − a_o1·a_h1", "(a_o1 − t1)·a_o1·(1 − a_o1)·a_h1"): (
        "∂E/∂w5", "({a_o1}-{t1})*{a_o1}*1-{a_o1}*{a_h1}"),
    ("operation", "a_o1·t1", "a_o1 − t1"): ("∂E/∂w6", "({a_o1}*{t1})*{a_o1}*(1-{a_o1})*{a_h2}"),
    ("other formula", "", "∂E/∂w6"): ("∂E/∂w3", FORMULAS["∂E/∂w6"]),
    ("replaced", "∂E/∂w2[-1]", "∂E/∂w1[-1]"): ("w1", "{w1}-{eta}*{dw2}"),
    ("replaced", "∂E/∂w3", "∂E/∂w3[-1]"): ("w3", "{w3}-{eta}*{here_dw3}"),
    ("replaced", "w1[-1]", "w4[-1]"): ("w4", "{w1}-{eta}*{dw4}"),
    ("climbs", "", ""): ("w6", "{w6}+{eta}*{dw6}"),
    ("still", "", ""): ("w8", "1*{w8}"),
    ("missing factor", "", "η"): ("w7", "{w7}-{dw7}"),
    ("missing term", "", "w5[-1]"): ("w5", "0-{eta}*{dw5}"),
    ("operation", "w2·η·∂E/∂w2", "w2 − η·∂E/∂w2"): ("w2", "{w2}*{eta}*{dw2}"),
    ("other rate", "0.2", "η"): ("w1", "{w1}-0.2*{dw1}"),
}  # fmt: skip
