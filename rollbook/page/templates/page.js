// Keeps the page up to date while somebody looks at it: replaces its parts when the server sends newer ones.
(() => {
  const main = document.getElementById("main");
  const state = document.getElementById("live-state");
  // The first page is sent its parts; another gets itself anew when the digest of what it shows has changed.
  const source = "/live" + (main.dataset.digest === undefined ? location.search : location.pathname);
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

  const renew = async (digest) => {
    if (digest === undefined || digest === main.dataset.digest) return;
    const answer = await fetch(location.href);
    if (answer.status >= 500) throw new Error(answer.statusText);
    const newer = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
    main.dataset.digest = newer.dataset.digest ?? "";
    replace("main", newer.innerHTML);
  };

  const lose = () => { lost = true; say("The server does not answer now; what you see may be old."); };
  const begin = () => {
    if (stream || document.hidden) return;
    stream = new EventSource(source);
    stream.onmessage = async (event) => {
      const { digest, ...parts } = JSON.parse(event.data);
      // What could not be had is asked for by a new stream, whose first message has all.
      try { await renew(digest); } catch { lose(); end(); setTimeout(begin, 5000); return; }
      for (const [id, html] of Object.entries(parts)) replace(id, html);
      lost = false;
      say("Kept up to date.");
    };
    stream.onopen = () => { if (!lost) say("Kept up to date."); };
    stream.onerror = lose;
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
