// Floor documents from the server, as a stream or on request, for as long as the page is open.

const SILENCE_MS = 5000;
const LONGEST_PATIENCE_MS = 20_000;

const UNAUTHORIZED = 401;

// Follow the live stream. The browser reconnects by itself after a cut; the watchdog replaces a
// connection that was refused or that is open and silent. Where the page is not let in any more, it
// is loaded anew, and so says why.
export function follow(url, { onFloor, onHistory }) {
  let stream = null;
  let edition = null;
  let lastId = "";
  let patience = SILENCE_MS;
  let lastSign = 0;

  const connect = () => {
    stream?.close();
    lastSign = performance.now();
    // A connection that the browser opens anew by itself says what came last, a new one cannot.
    const last = lastId && `?${new URLSearchParams({ last_event_id: lastId })}`;
    stream = new EventSource(url + last);
    stream.addEventListener("floor", (event) => {
      lastId = event.lastEventId;
      lastSign = performance.now();
      patience = SILENCE_MS;
      onFloor(JSON.parse(event.data));
    });
    stream.addEventListener("history", (event) => onHistory(JSON.parse(event.data)));
    stream.addEventListener("edition", (event) => {
      edition ??= event.data;
      if (edition !== event.data) location.reload();
    });
  };

  // A stream that is refused does not tell with what.
  const ask = async () => {
    try {
      leaveIfUnwelcome(await fetch(url, { method: "HEAD" }));
    } catch {
      // Nobody answers.
    }
  };

  connect();
  setInterval(() => {
    if (performance.now() - lastSign < patience) return;
    patience = Math.min(LONGEST_PATIENCE_MS, patience * (1 + Math.random()));
    connect();
    ask();
  }, 1000);
}

// Ask for the document every second, one question at a time.
export function poll(url, onFloor) {
  let isAsking = false;
  const ask = async () => {
    if (isAsking) return;
    isAsking = true;
    const abort = new AbortController();
    const deadline = setTimeout(() => abort.abort(), SILENCE_MS);
    try {
      const answer = await fetch(url, { signal: abort.signal });
      leaveIfUnwelcome(answer);
      if (answer.ok) onFloor(await answer.json());
    } catch {
      // No answer is no frame, and the page shows how old its last one is.
    } finally {
      clearTimeout(deadline);
      isAsking = false;
    }
  };
  ask();
  setInterval(ask, 1000);
}

function leaveIfUnwelcome(answer) {
  if (answer.status === UNAUTHORIZED) location.reload();
}
