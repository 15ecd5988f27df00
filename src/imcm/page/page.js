"use strict";

// Sorting and filtering of the tables, and opening of all explanations. Without it the page says
// the same; what it needs is hidden until it runs. Nothing is made of text as HTML.

const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function valueOf(cell) {
  return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
}

function sortBy(body, column, numeric, sign) {
  const rows = [...body.rows].map((row, at) => ({ row, at, cell: row.cells[column] }));
  rows.sort((left, right) => {
    const a = numeric ? valueOf(left.cell) : left.cell.textContent;
    const b = numeric ? valueOf(right.cell) : right.cell.textContent;
    const empty = [a, b].map((value) => value === null || value === "");
    if (empty[0] || empty[1]) return empty[0] - empty[1] || left.at - right.at; // last, always
    return sign * (numeric ? a - b : order.compare(a, b)) || left.at - right.at;
  });
  body.append(...rows.map((item) => item.row));
}

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, index) => {
    const numeric = head.classList.contains("number");
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `Sort by ${head.textContent}`);
    head.append(button);
    head.addEventListener("click", () => { // of the button, too, which is in it
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sortBy(body, index, numeric, down ? -1 : 1);
    });
  });
}

function makeFilterable(tools, table) {
  const rows = [...table.tBodies[0].rows];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const input = tools.querySelector("input");
  const output = tools.querySelector("output");
  tools.hidden = false;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    rows.forEach((row, index) => {
      row.hidden = !words.every((word) => texts[index].includes(word));
      left += row.hidden ? 0 : 1;
    });
    output.textContent = words.length ? `${left} of ${rows.length} rows` : "";
  });
}

for (const holder of document.querySelectorAll("[data-table]")) {
  const table = holder.querySelector("table");
  if (table.tBodies[0].rows.length > 1) makeSortable(table);
  if (table.tBodies[0].rows.length > 7) makeFilterable(holder.querySelector(".tools"), table);
}

for (const button of document.querySelectorAll("[data-opens]")) {
  const explanations = document.getElementById(button.dataset.opens).querySelectorAll("details");
  button.hidden = false;
  button.addEventListener("click", () => {
    const open = [...explanations].some((each) => !each.open);
    explanations.forEach((each) => { each.open = open; });
    button.textContent = open ? "Close all explanations" : "Open all explanations";
  });
}
