// Threads: the list beside the page, and what can be done to one.

import { call } from "./api.js";
import { element } from "./answer.js";

const $ = (id) => document.getElementById(id);

/** Draw the list. open: called with the thread that is chosen. */
export async function listThreads(current, open) {
  const { threads } = await call("GET", "/v1/threads?limit=100");
  $("threads").replaceChildren(...threads.map((thread) => {
    const button = element("button", { type: "button", className: "thread" }, thread.title ?? "Untitled");
    if (thread.thread_id === current) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => open(thread.thread_id));
    return element("li", {}, button);
  }));
  $("none").hidden = threads.length > 0;
  return threads.find((thread) => thread.thread_id === current) ?? null;
}

/** Ask in a dialog with one field; its text, or null where it was left. */
export function prompted(dialog, value = "") {
  const field = dialog.querySelector("input, textarea");
  if (field) field.value = value;
  dialog.returnValue = "";
  dialog.showModal();
  field?.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? (field?.value.trim() ?? true) : null), { once: true });
  });
}
