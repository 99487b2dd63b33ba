// What every page does: copies commands, and counts moments down.

const said = document.getElementById("said");

// Tell a person, and a screen reader, what has just happened.
export function say(words) {
  said.textContent = "";
  requestAnimationFrame(() => { said.textContent = words; });
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyOldWay(text); // over plain HTTP from another machine there is no clipboard
  }
  button.dataset.done = "yes";
  say(`Copied: ${text}`);
  setTimeout(() => { delete button.dataset.done; }, 1500);
}

function copyOldWay(text) {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button);
});

const UNITS = [["day", 86400], ["h", 3600], ["min", 60], ["s", 1]];

// As in 2 days 3 h, 1 h 5 min, 12 min, 40 s.
export function duration(seconds) {
  const first = UNITS.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  const [unit, size] = UNITS[first];
  const whole = Math.floor(seconds / size);
  const name = unit === "day" && whole > 1 ? "days" : unit;
  const next = UNITS[first + 1];
  const rest = next && first < 2 ? Math.floor((seconds % size) / next[1]) : 0;
  return `${whole} ${name}${rest ? ` ${rest} ${next[0]}` : ""}`;
}

// <time data-until="Unix seconds"> and <time data-since="Unix seconds"> follow the clock.
function tick() {
  const now = Date.now() / 1000;
  for (const one of document.querySelectorAll("time[data-until], time[data-since]")) {
    const { until, since } = one.dataset;
    const { bare } = one.dataset;
    const words = until && until > now
      ? `${bare ? "" : "in "}${duration(until - now)}`
      : `${duration(now - (until || since))}${bare && !until ? "" : " ago"}`;
    if (one.textContent !== words) one.textContent = words;
  }
}

tick();
setInterval(tick, 1000);
document.addEventListener("fragment", tick);
