// Gives the report a field that leaves only those failed documents in sight that it fits.
// Without it the words stand there that it replaces, and the list is shown whole.

const hint = document.querySelector("[data-search]");

// Each row of a list with what it is found by: its cells, and the reason above its table.
function searchedRows() {
  return [...document.querySelectorAll(".list tbody tr")].map((row) => {
    const reason = row.closest("table").caption.textContent.replace(/^[\d,]+ /, "");
    const texts = [reason, ...[...row.cells].map((cell) => cell.textContent)];
    return { row, text: texts.join("\n").toLowerCase() };
  });
}

function offerSearch() {
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "path, reason or error";
  const label = document.createElement("label");
  label.append("Find a failed document ", field);
  const found = document.createElement("output");
  hint.classList.add("search-failed");
  hint.replaceChildren(label, found);
  const rows = searchedRows();
  const lists = [...document.querySelectorAll(".list")];
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const { row, text } of rows) row.hidden = !words.every((word) => text.includes(word));
    for (const list of lists) list.hidden = !list.querySelector("tbody tr:not([hidden])");
    const shown = rows.filter(({ row }) => !row.hidden).length;
    found.textContent = field.value ? `${shown} of ${rows.length} listed documents` : "";
  });
}

if (hint) offerSearch();
