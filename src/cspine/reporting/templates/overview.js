"use strict";
// Sorts and searches the table of studies; without this the page is whole and in its first order.
(() => {
  const table = document.getElementById("studies");
  if (!table) return;
  const find = document.getElementById("find"), only = document.getElementById("only"), told = document.getElementById("told");
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows].map((row) => ({ row, name: row.cells[0].textContent, positive: row.className === "suspicious" }));
  const byName = new Intl.Collator(undefined, { numeric: true }).compare;

  const sort = (column, down) => {
    const value = (entry) => Number(entry.row.cells[column].dataset.v);
    const compare = column ? (a, b) => value(a) - value(b) || byName(b.name, a.name) : (a, b) => byName(a.name, b.name);
    rows.sort((a, b) => (down ? compare(b, a) : compare(a, b)));
    body.append(...rows.map((entry) => entry.row));
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
  };
  const search = () => {
    const wanted = find.value.trim().toLowerCase();
    let shown = 0;
    rows.forEach((entry) => {
      entry.row.hidden = (only.checked && !entry.positive) || !entry.name.toLowerCase().includes(wanted);
      shown += entry.row.hidden ? 0 : 1;
    });
    told.textContent = wanted || only.checked ? `${shown} of ${rows.length} shown` : "";
  };

  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    button.disabled = false;
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      sort(column, now ? now === "ascending" : column > 0);
    });
  });
  find.addEventListener("input", search);
  only.addEventListener("change", search);
  document.getElementById("tools").hidden = false;
})();
