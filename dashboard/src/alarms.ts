// What a person must know, in plain words. Written anew only when one comes, goes or changes its words.

import { el, set } from "./dom";
import { span } from "./format";

export interface Alarm {
  kind: string;
  message: string;
  /** Unix milliseconds; none where it is not known since when. */
  sinceMs: number | null;
}

export function alarmsView(alarms: () => Alarm[]): { element: HTMLElement; draw(): void } {
  const element = el("ul", { class: "alarms", role: "status" });
  let drawn = "";
  return {
    element,
    draw: () => {
      const now = alarms();
      const text = JSON.stringify(now);
      set(element, { hidden: now.length === 0 });
      if (text !== drawn) element.replaceChildren(...now.map(line));
      drawn = text;
    },
  };
}

function line(alarm: Alarm): HTMLElement {
  const since = alarm.sinceMs === null ? null : ` since ${span((Date.now() - alarm.sinceMs) / 1000)}`;
  return el("li", {}, el("b", {}, alarm.kind.replace(/_/g, " ")), ` ${alarm.message}`, since && el("span", { class: "quiet" }, since));
}
