// --- The row ------------------------------------------------------------------------------

// Four tables, for 31 columns are too wide: what is in each, and its last column.
const PARTS_OF_ROW = {
  "Targets, inputs and first weights": "w4",
  "Hidden neurons and last weights": "w8",
  "Outputs and errors": "E_total",
  "Gradients": COLUMNS.at(-1),
};

/** Show the columns of this step and its neighbours, in the order of the sheet. */
function showRow(rows, step) {
  const steps = [step - 1, step, step + 1].filter((other) => other in rows);
  let start = 0;
  for (const box of document.querySelectorAll("#row .scroll")) {
    const title = box.getAttribute("aria-label");
    const end = COLUMNS.indexOf(PARTS_OF_ROW[title]) + 1;
    const columns = COLUMNS.slice(start, end);
    const head = ["step", ...columns].map((name) => html("th", { scope: "col" }, name));
    const body = steps.map((other) => html("tr", { class: other === step ? "now" : "" },
      html("th", { scope: "row" }, other), ...columns.map((column) => cell(column, rows[other][column]))));
    box.replaceChildren(html("table", {}, html("caption", {}, title),
      html("thead", {}, html("tr", {}, ...head)), html("tbody", {}, ...body)));
    start = end;
  }
}

function cell(column, value) {
  return html("td", {}, html("data", { value, title: `${column} = ${value}` }, inTable(value)));
}

function inTable(value) {
  if (!Number.isFinite(value)) return notFinite(value);
  return Math.abs(value) >= 1e6 || (value !== 0 && Math.abs(value) < 1e-4)
    ? withMinus(value.toExponential(3)) : withMinus(value.toFixed(6));
}
