// --- The exercise -------------------------------------------------------------------------

const WEIGHTS = Object.keys(EDGES);

/** Compute a row of the sheet: all columns from what is given. */
function evaluate(given) {
  const row = { ...given };
  for (const column in FORMULAS) row[column] = FORMULAS[column](row);
  return row;
}

/** Run gradient descent; the first row has the starting weights. */
function descend(given, eta, steps) {
  const rows = [];
  for (let step = 0; step <= steps; step++) {
    const row = evaluate(given);
    rows.push(row);
    given = { ...given };
    for (const weight of WEIGHTS) given[weight] = UPDATES[weight].value(row, eta);
  }
  return rows;
}

function errorsOf(trace) {
  return trace.map((row) => row.E_total);
}
