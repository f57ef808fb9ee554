// How to send video to this node: for OBS, for ffmpeg. Shown open while there is no stream.

import { el } from "./dom";

/** Default port of RTMP, where the node listens. */
const RTMP_PORT = 1935;

export function publishHelp(): HTMLElement {
  const host = location.hostname || "127.0.0.1";
  const server = `rtmp://${host}:${RTMP_PORT}/live`;
  return el(
    "div",
    { class: "publish" },
    el("p", {}, "Send video to this node and it appears here. Choose any name as the stream key."),
    el(
      "dl",
      { class: "recipe" },
      el("dt", {}, "OBS: Settings, Stream, Custom"),
      el("dd", {}, labelled("Server", server), labelled("Stream key", "me")),
      el("dt", {}, "ffmpeg"),
      el("dd", {}, labelled("", `ffmpeg -re -i my.mp4 -c copy -f flv ${server}/me`)),
    ),
    el("p", { class: "quiet" }, "H.264 video with AAC audio; a key frame every two seconds serves best."),
  );
}

function labelled(label: string, text: string): HTMLElement {
  return el("div", { class: "copyline" }, label ? el("span", {}, label) : null, el("code", {}, text), copyButton(() => text, label || "command"));
}

/** A button that puts `text()` on the clipboard and says so. */
export function copyButton(text: () => string, what: string, label = "Copy"): HTMLButtonElement {
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${what}` }, label);
  let timer = 0;
  button.addEventListener("click", () => {
    void put(text()).then((done) => {
      button.textContent = done ? "Copied" : "Select it";
      window.clearTimeout(timer);
      timer = window.setTimeout(() => (button.textContent = label), 1600);
    });
  });
  return button;
}

async function put(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return putOldWay(text); // Pages that are neither https nor loopback have no clipboard.
  }
}

function putOldWay(text: string): boolean {
  const area = el("textarea", { class: "offscreen", readonly: true });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
