// Sorts the table of models by a column. Without this the table is the same, in the run's order.
"use strict";
for (const table of document.querySelectorAll("table.matrix")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    const key = (row) => row.cells[column].dataset.sort;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const order = head.ariaSort === "ascending" ? -1 : 1;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order > 0 ? "ascending" : "descending");
      const rows = [...body.rows];
      rows.sort((a, b) => order * key(a).localeCompare(key(b), undefined, { numeric: true }));
      body.append(...rows);
    });
  });
}
