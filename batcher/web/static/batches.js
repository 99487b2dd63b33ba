// Keeps the list of batches up to date while somebody looks at it.

const EVERY = 5000; // milliseconds

const list = document.getElementById("batches");

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch("/batches");
  if (!answer.ok) return;
  const text = await answer.text();
  const fresh = new DOMParser().parseFromString(text, "text/html").body.firstElementChild;
  const focused = list.contains(document.activeElement) ? document.activeElement.href : null;
  list.replaceChildren(fresh);
  if (focused) [...list.querySelectorAll("a")].find((link) => link.href === focused)?.focus();
  document.dispatchEvent(new Event("fragment"));
}

setInterval(() => refresh().catch(() => {}), EVERY);
