"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.addEventListener("click", () => {
    const down = head.dataset.down !== "true";
    for (const other of heads) delete other.dataset.down;
    head.dataset.down = down;
    const numeric = head.classList.contains("number");
    const value = (row) => numeric ? Number(row.cells[column].textContent) : row.cells[column].textContent;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      const order = numeric ? x - y : x.localeCompare(y);
      return down ? -order : order;
    });
    table.tBodies[0].append(...rows);
  }));
}
const matrix = document.getElementById("matrix");
if (matrix) {
  const { labels, totals, cells } = JSON.parse(document.getElementById("cells").textContent);
  const said = document.getElementById("cell");
  const across = document.getElementById("cross-row");
  const along = document.getElementById("cross-column");
  matrix.addEventListener("pointermove", (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.getScreenCTM().inverse());
    const [row, column] = [Math.floor(point.y), Math.floor(point.x)];
    const inside = row >= 0 && column >= 0 && row < labels.length && column < labels.length;
    across.setAttribute("y", inside ? row : -99);
    along.setAttribute("x", inside ? column : -99);
    if (!inside) return;
    const count = cells[`${row},${column}`] ?? 0;
    said.textContent = `${labels[row]} answered as ${labels[column]}: ${count} of ${totals[row]}`;
  });
  const zoomed = document.querySelector(".zoomed");
  let width = 0;
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => {
      width = Math.max(300, (width || zoomed.clientWidth) * Number(button.dataset.zoom));
      zoomed.style.width = `${width}px`;
    });
  }
}
