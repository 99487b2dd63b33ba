// A document: a box on the page's picture and its text light up together; keys lead on.

import { help, onKeys } from "./keys.js";

const drawn = new Map();
const written = new Map();
for (const box of document.querySelectorAll("svg [data-mark]")) drawn.set(box.dataset.mark, box);
for (const text of document.querySelectorAll(".result [data-mark]")) {
  const { mark } = text.dataset;
  written.set(mark, [...(written.get(mark) ?? []), text]);
}
let lit = null;

// The box with this mark, and the texts or values that it belongs to.
function both(mark) {
  return [drawn.get(mark), ...(written.get(mark) ?? [])].filter(Boolean);
}

function light(mark) {
  if (mark === lit) return;
  for (const one of both(lit)) one.classList.remove("lit");
  lit = mark;
  for (const one of both(lit)) one.classList.add("lit");
}

function markOf(event) {
  return event.target.closest?.("[data-mark]")?.dataset.mark ?? null;
}

for (const kind of ["pointerover", "focusin"]) {
  document.addEventListener(kind, (event) => {
    const mark = markOf(event);
    light(mark);
    if (mark && drawn.get(mark) === event.target) {
      written.get(mark)?.[0].scrollIntoView({ block: "nearest" });
    } else if (mark && kind === "focusin") {
      drawn.get(mark)?.scrollIntoView({ block: "nearest" });
    }
  });
}

document.addEventListener("click", (event) => {
  const texts = written.get(markOf(event));
  if (texts && event.target.closest("svg")) texts[0].focus();
});

function follow(rel) {
  document.querySelector(`a[rel=${rel}]`)?.click();
}

function press(mark) {
  document.querySelector(`button.mark[value=${mark}]`)?.click();
}

const marks = document.querySelector(".marking")
  ? {
    r: ["Right", () => press("right")],
    w: ["Wrong", () => press("wrong")],
    u: ["Unsure", () => press("unsure")],
  }
  : {};

onKeys({
  ...marks,
  j: ["Next document", () => follow("next")],
  k: ["Document before", () => follow("prev")],
  n: ["Next page", () => follow("page-after")],
  p: ["Page before", () => follow("page-before")],
});
help("Tab moves along the texts; the box of the one in focus lights up on the page.");
