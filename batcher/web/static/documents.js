// The table of documents: j and k move along the rows, Enter opens one, / searches.

import { help, onKeys } from "./keys.js";

const links = [...document.querySelectorAll(".documents tbody th a")];

function move(by) {
  const at = links.indexOf(document.activeElement);
  const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by];
  if (next) next.focus();
}

function follow(rel) {
  document.querySelector(`a[rel=${rel}]`)?.click();
}

onKeys({
  j: ["Next row", () => move(1)],
  k: ["Row before", () => move(-1)],
  n: ["Next page", () => follow("next")],
  p: ["Page before", () => follow("prev")],
  "/": ["Search", () => document.querySelector("input[type=search]").focus()],
});
help("Enter opens the row in focus.");
