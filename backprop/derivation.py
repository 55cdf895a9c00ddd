"""The derivation, in the order in which it is understood: symbol, then formula."""

STEPS_OF_DERIVATION: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "1. Forward pass: σ(x) = 1 / (1 + e^(−x))",
        (
            ("h1", "= w1·i1 + w2·i2"),
            ("a_h1", "= σ(h1)"),
            ("h2", "= w3·i1 + w4·i2"),
            ("a_h2", "= σ(h2)"),
            ("o1", "= w5·a_h1 + w6·a_h2"),
            ("a_o1", "= σ(o1)"),
            ("o2", "= w7·a_h1 + w8·a_h2"),
            ("a_o2", "= σ(o2)"),
        ),
    ),
    (
        "2. Error: half the squared distance to the targets",
        (
            ("E1", "= ½·(t1 − a_o1)²"),
            ("E2", "= ½·(t2 − a_o2)²"),
            ("E_total", "= E1 + E2"),
        ),
    ),
    (
        "3. The last weights: only one error depends on each of them",
        (
            ("∂E/∂w5", "= ∂E/∂a_o1 · ∂a_o1/∂o1 · ∂o1/∂w5 = (a_o1 − t1) · a_o1·(1 − a_o1) · a_h1"),
            ("∂E/∂w6", "= ∂E/∂a_o1 · ∂a_o1/∂o1 · ∂o1/∂w6 = (a_o1 − t1) · a_o1·(1 − a_o1) · a_h2"),
            ("∂E/∂w7", "= ∂E/∂a_o2 · ∂a_o2/∂o2 · ∂o2/∂w7 = (a_o2 − t2) · a_o2·(1 − a_o2) · a_h1"),
            ("∂E/∂w8", "= ∂E/∂a_o2 · ∂a_o2/∂o2 · ∂o2/∂w8 = (a_o2 − t2) · a_o2·(1 − a_o2) · a_h2"),
        ),
    ),
    (
        "4. The hidden activations: each reaches the error on two paths, so two terms add up",
        (
            ("∂E/∂a_h1", "= (a_o1 − t1)·a_o1·(1 − a_o1)·w5 + (a_o2 − t2)·a_o2·(1 − a_o2)·w7"),
            ("∂E/∂a_h2", "= (a_o1 − t1)·a_o1·(1 − a_o1)·w6 + (a_o2 − t2)·a_o2·(1 − a_o2)·w8"),
        ),
    ),
    (
        "5. The first weights: from the hidden activation on back to the weight",
        (
            ("∂E/∂w1", "= ∂E/∂a_h1 · ∂a_h1/∂h1 · ∂h1/∂w1 = ∂E/∂a_h1 · a_h1·(1 − a_h1) · i1"),
            ("∂E/∂w2", "= ∂E/∂a_h1 · ∂a_h1/∂h1 · ∂h1/∂w2 = ∂E/∂a_h1 · a_h1·(1 − a_h1) · i2"),
            ("∂E/∂w3", "= ∂E/∂a_h2 · ∂a_h2/∂h2 · ∂h2/∂w3 = ∂E/∂a_h2 · a_h2·(1 − a_h2) · i1"),
            ("∂E/∂w4", "= ∂E/∂a_h2 · ∂a_h2/∂h2 · ∂h2/∂w4 = ∂E/∂a_h2 · a_h2·(1 − a_h2) · i2"),
        ),
    ),
    (
        "6. The update: all eight weights at once, with the gradients of the same row",
        (("w", "← w − η · ∂E/∂w"),),
    ),
)
