// Follows the log of a build that runs. What comes is text, and is shown as text.
(() => {
  const log = document.getElementById("log");
  const state = document.getElementById("state");
  const source = new EventSource(`${log.dataset.events}?offset=${log.dataset.offset}`);
  source.addEventListener("log", (event) => {
    const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 40;
    log.append(JSON.parse(event.data).text);
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  });
  source.addEventListener("state", (event) => {
    state.textContent = JSON.parse(event.data).state;
  });
  source.addEventListener("ended", () => {
    source.close();
    const link = document.createElement("a");
    link.href = log.dataset.ended;
    link.textContent = "ended: see the build";
    state.replaceChildren(link);
  });
  log.scrollTop = log.scrollHeight;
})();
