// One floating note for everything that has more words than room: shown on hover and on focus, closed by Escape.

import { el } from "./dom";

export interface Line {
  text: string;
  kind?: "title" | "plain" | "alarm" | "quiet";
  /** Number of a peer's colour, shown as a dot before the line. */
  peer?: number;
}

const note = el("div", { class: "tip", role: "tooltip", id: "tip", hidden: true });
let owner: Element | null = null;
let words: (() => Line[]) | null = null;

/** Gives `target` words, asked for each time that they are shown. */
export function explain(target: HTMLElement | SVGElement, lines: () => Line[]): void {
  const show = (): void => open(target, lines);
  const hide = (): void => close(target);
  target.addEventListener("pointerenter", show);
  target.addEventListener("pointerleave", hide);
  target.addEventListener("focus", show);
  target.addEventListener("blur", hide);
}

/** Writes the words again, if they are shown: what they tell of has changed. */
export function refresh(target?: Element): void {
  if (owner && words && (!target || target === owner)) {
    if (owner.isConnected) write(words());
    else close(owner);
  }
}

function open(target: Element, lines: () => Line[]): void {
  if (!note.isConnected) document.body.append(note);
  owner = target;
  words = lines;
  write(lines());
  target.setAttribute("aria-describedby", note.id);
  note.hidden = false;
  place(target);
}

function close(target: Element): void {
  target.removeAttribute("aria-describedby");
  if (owner !== target) return;
  owner = null;
  words = null;
  note.hidden = true;
}

function write(lines: Line[]): void {
  note.replaceChildren(
    ...lines.map((line) =>
      el(
        "p",
        { class: `tip-${line.kind ?? "plain"}` },
        line.peer === undefined ? null : el("i", { class: "dot", "data-peer": line.peer }),
        line.text,
      ),
    ),
  );
}

function place(target: Element): void {
  const at = target.getBoundingClientRect();
  const size = note.getBoundingClientRect();
  const margin = 8;
  const left = Math.min(Math.max(margin, at.left + at.width / 2 - size.width / 2), innerWidth - size.width - margin);
  const above = at.top - size.height - margin;
  const top = above >= margin ? above : Math.min(at.bottom + margin, innerHeight - size.height - margin);
  note.style.left = `${Math.max(margin, left)}px`;
  note.style.top = `${Math.max(margin, top)}px`;
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && owner) close(owner);
});
document.addEventListener("scroll", () => owner && place(owner), { passive: true });
