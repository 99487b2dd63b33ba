// Keys of a page, and the dialog that lists them: ? opens it.

const listed = [];
const keys = new Map();

// `table` has for each key what it does in words, and a function.
export function onKeys(table) {
  for (const [key, [words, act]] of Object.entries(table)) {
    keys.set(key, act);
    listed.push([key, words]);
  }
}

// Make the dialog; `more` is a sentence below the list.
export function help(more = "") {
  const dialog = document.createElement("dialog");
  dialog.className = "keys";
  dialog.setAttribute("aria-labelledby", "keys-head");
  const head = document.createElement("h2");
  head.id = "keys-head";
  head.textContent = "Keys";
  const list = document.createElement("dl");
  for (const [key, words] of [...listed, ["?", "This help"], ["Esc", "Close it"]]) {
    const name = document.createElement("dt");
    const kbd = document.createElement("kbd");
    kbd.textContent = key;
    name.append(kbd);
    const what = document.createElement("dd");
    what.textContent = words;
    list.append(name, what);
  }
  const close = document.createElement("button");
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  const words = document.createElement("p");
  words.textContent = more;
  dialog.append(head, list, words, close);
  document.body.append(dialog);
  keys.set("?", () => dialog.showModal());

  const button = document.createElement("button");
  button.className = "keys-button";
  button.textContent = "Keys: ?";
  button.addEventListener("click", () => dialog.showModal());
  document.querySelector("main").append(button);
}

function isTyping(target) {
  return target.closest("input:not([type=checkbox]), textarea, select, dialog[open]") !== null;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const act = keys.get(event.key);
  if (!act) return;
  event.preventDefault();
  act();
});
