// Follows a batch: the server tells which fragments have changed, and these are fetched.

const root = document.getElementById("live");
const lost = document.getElementById("lost");
let events = null;

function follow() {
  if (events || document.hidden) return;
  events = new EventSource(root.dataset.events);
  events.addEventListener("message", (event) => {
    for (const [name, version] of Object.entries(JSON.parse(event.data))) {
      refresh(name, version).catch(() => {}); // the stream tells that the server is gone
    }
  });
  events.addEventListener("open", () => { lost.hidden = true; });
  events.addEventListener("error", () => { lost.hidden = false; });
}

// A browser keeps only six connections to a server: a page that nobody sees gives its own up.
function leave() {
  events?.close();
  events = null;
}

async function refresh(name, version) {
  const old = root.querySelector(`[data-fragment="${name}"]`);
  if (!old || old.dataset.version === version) return;
  const answer = await fetch(root.dataset.fragments + name);
  if (!answer.ok) return;
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = parsed.body.firstElementChild;
  keep(old, fresh);
  old.replaceWith(fresh);
  entitle();
  document.dispatchEvent(new Event("fragment"));
}

// The title says how far a run is, so that its tab can be watched from another one.
function entitle() {
  const { title } = root.querySelector("[data-title]").dataset;
  document.title = `${title} - batcher`;
}

// What a person has opened, scrolled or focused stays so.
function keep(old, fresh) {
  for (const open of old.querySelectorAll("details[open][id]")) {
    fresh.querySelector(`#${open.id}`)?.setAttribute("open", "");
  }
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const key = focused?.dataset.copy;
  if (key) queueMicrotask(() => fresh.querySelector(`[data-copy="${key}"]`)?.focus());
}

document.addEventListener("visibilitychange", () => (document.hidden ? leave() : follow()));
addEventListener("pagehide", leave);
addEventListener("pageshow", follow);
entitle();
follow();
