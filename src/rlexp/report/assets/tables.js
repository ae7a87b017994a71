// Tables that are sorted by a column, and buttons that copy.
function key(cell) {
  if (cell.dataset.value !== undefined) return [0, Number(cell.dataset.value), ""];
  const text = cell.textContent, number = Number(text);
  return text === "" ? [2, 0, ""] : Number.isNaN(number) ? [1, 0, text] : [0, number, ""];
}

function sortBy(table, column, down) {
  const body = table.tBodies[0], rows = Array.from(body.rows, (row) => [key(row.cells[column]), row]);
  rows.sort(([a], [b]) => {
    if (a[0] === 2 || b[0] === 2) return a[0] - b[0]; // what is empty comes last, either way
    return (down ? -1 : 1) * (a[0] - b[0] || a[1] - b[1] || a[2].localeCompare(b[2]));
  });
  body.append(...rows.map(([, row]) => row));
  for (const [n, head] of [...table.tHead.rows[0].cells].entries()) {
    if (n === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
}

function startTables() {
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
      const button = make("button", { type: "button", title: "Sort" }, ...head.childNodes);
      button.addEventListener("click", () => sortBy(table, column, head.getAttribute("aria-sort") === "ascending"));
      head.append(button);
    }
  }
  for (const button of document.querySelectorAll("button.copy"))
    button.addEventListener("click", () => copied(button.parentElement.querySelector("pre, code").textContent, button));
}
