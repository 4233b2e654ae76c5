// Keeps the page up to date while somebody looks at it: replaces its parts when the server sends newer ones.
(() => {
  const state = document.getElementById("live-state");
  let stream = null;
  let lost = false;
  const say = (text) => { state.textContent = text; };

  const replace = (id, html) => {
    const part = document.getElementById(id);
    if (!part) return;
    const open = [...part.querySelectorAll("details[open]")].map((each) => each.id);
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.innerHTML = html;
    for (const name of open) if (name) document.getElementById(name)?.setAttribute("open", "");
    if (focused) [...part.querySelectorAll("a")].find((each) => each.getAttribute("href") === focused)?.focus();
  };

  const begin = () => {
    if (stream || document.hidden) return;
    stream = new EventSource("/live" + location.search);
    stream.onmessage = (event) => {
      for (const [id, html] of Object.entries(JSON.parse(event.data))) replace(id, html);
      lost = false;
      say("Kept up to date.");
    };
    stream.onopen = () => { if (!lost) say("Kept up to date."); };
    stream.onerror = () => { lost = true; say("The server does not answer now; what you see may be old."); };
  };
  const end = () => { stream?.close(); stream = null; };

  document.addEventListener("visibilitychange", () => (document.hidden ? end() : begin()));
  addEventListener("pagehide", end);
  addEventListener("pageshow", begin);
  // In the band, arrow keys go from column to column.
  document.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const band = document.activeElement?.closest("svg.band");
    if (!step || !band) return;
    const links = [...band.querySelectorAll("a")];
    links[links.indexOf(document.activeElement) + step]?.focus();
    event.preventDefault();
  });
  begin();
})();
