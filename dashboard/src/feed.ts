// The node's event stream. In: `state`, `chain`, `payments` and `segment` events. Out: checked values, and whether the line is up. Reconnects by
// itself, with growing pauses, also when the line is open but silent.

import { readChain, type Chain } from "./chain/wire";
import { readPayments, type Payments } from "./payments/wire";
import { readState, readTrace, type State, type Trace } from "./wire";

export type Line = "connecting" | "open" | "lost";

export interface FeedHandlers {
  state(state: State): void;
  chain(chain: Chain): void;
  payments(payments: Payments): void;
  trace(trace: Trace): void;
  line(line: Line): void;
}

/** State comes each second: six missed ones mean that the line is dead, whatever the browser believes. */
const SILENCE_MS = 6000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;
/** A segment's trace with every rung and ask is below 20 KB; a state with 500 nodes below 300 KB. */
const MAX_EVENT_CHARS = 2_000_000;

/** Segments of the past that are asked for at once. */
const HISTORY = 100;

/** What the node still knows of a stream's last segments; nothing when it does not answer. */
export async function history(stream: string): Promise<Trace[]> {
  try {
    const answer = await fetch(`./api/v1/streams/${encodeURIComponent(stream)}/explain`);
    const text = answer.ok ? await answer.text() : "[]";
    const value: unknown = text.length > MAX_EVENT_CHARS ? [] : JSON.parse(text);
    return Array.isArray(value) ? value.slice(-HISTORY).map(readTrace) : [];
  } catch {
    return []; // The events will tell of what comes.
  }
}

/** What the node knows of the chain at this instant; nothing when it follows none or does not answer. */
export const chainNow = (): Promise<Chain | null> => now("./api/v1/chain", readChain);

/** What the node's ledger says at this instant; nothing when it keeps none or does not answer. */
export const paymentsNow = (): Promise<Payments | null> => now("./api/v1/payments", readPayments);

async function now<T>(path: string, read: (value: unknown) => T): Promise<T | null> {
  try {
    const answer = await fetch(path);
    const text = answer.ok ? await answer.text() : "";
    return text && text.length <= MAX_EVENT_CHARS ? read(JSON.parse(text)) : null;
  } catch {
    return null; // The events will tell.
  }
}

/** Follows `/api/v1/events` for as long as the page lives. */
export function follow(handlers: FeedHandlers): void {
  let pause = FIRST_PAUSE_MS;
  let source: EventSource | null = null;
  let heard = Date.now();
  let retry = 0;

  const open = (): void => {
    heard = Date.now();
    source = new EventSource("./api/v1/events");
    source.addEventListener("state", (event) =>
      receive(event, (value) => {
        pause = FIRST_PAUSE_MS;
        handlers.line("open");
        handlers.state(readState(value));
      }),
    );
    source.addEventListener("chain", (event) => receive(event, (value) => handlers.chain(readChain(value))));
    source.addEventListener("payments", (event) => receive(event, (value) => handlers.payments(readPayments(value))));
    source.addEventListener("segment", (event) => receive(event, (value) => handlers.trace(readTrace(value))));
    source.addEventListener("error", again);
  };

  const receive = (event: MessageEvent<unknown>, use: (value: unknown) => void): void => {
    heard = Date.now();
    if (typeof event.data !== "string" || event.data.length > MAX_EVENT_CHARS) return;
    let value: unknown;
    try {
      value = JSON.parse(event.data);
    } catch {
      return; // Not JSON: nothing to show; the next event will tell.
    }
    use(value);
  };

  const again = (): void => {
    source?.close();
    source = null;
    handlers.line("lost");
    window.clearTimeout(retry);
    retry = window.setTimeout(open, pause * (0.75 + Math.random() / 2));
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  };

  window.setInterval(() => {
    if (source && Date.now() - heard > SILENCE_MS) again();
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && !source) {
      window.clearTimeout(retry);
      open();
    }
  });
  handlers.line("connecting");
  open();
}
