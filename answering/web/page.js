// The page of the answering service: questions, answers as they are made, threads.

import { asked, call, Problem } from "./api.js";
import { element, lineage, MODES, named, place, sourceItem, titleLink, written } from "./answer.js";
import { listThreads, prompted } from "./threads.js";
import { widget } from "./widgets.js";

const $ = (id) => document.getElementById(id);
const shareId = location.pathname.match(/^\/s\/([^/]+)$/)?.[1];
let request = null; // the AbortController of the question that is being answered
let thread = null; // the thread that is open, once it has an id
let keepsThreads = true;
let covered = false; // whether the coverage line is that of an answer

/** One question and its answer on the page. */
function turn(question) {
  const parts = {
    status: element("p", { className: "doing" }),
    widgets: element("div", { className: "widgets" }),
    text: element("div", { className: "text" }),
    how: element("p", { className: "how", hidden: true }),
    count: element("summary"),
    sources: element("ol", { className: "sources" }),
    feedback: element("div", { className: "feedback", hidden: true }),
  };
  const cited = element("details", { className: "cited", hidden: true, open: true }, parts.count, parts.sources);
  const article = element("article", { className: "turn" }, element("h2", {}, question), parts.status, parts.widgets, parts.text, parts.how, cited, parts.feedback);
  article.ariaLabel = question;
  $("turns").append(article);
  $("start").hidden = true;
  let citations = [];
  let text = "";
  let answerId = null;
  const open = (number) => showSource(citations.find((one) => one.n === number), answerId);
  const known = () => new Set(citations.map((one) => one.n));
  return {
    article,
    status: (told) => (parts.status.textContent = told),
    add(more) {
      text += more;
      // Numbers get their sources at the end: until then every marker is one.
      parts.text.replaceChildren(...written(text, { has: () => true }, () => {}));
    },
    draw(data) {
      const card = widget(data);
      if (card) parts.widgets.append(card);
    },
    fail(message) {
      parts.status.textContent = "";
      article.append(element("p", { className: "error", role: "alert" }, message));
    },
    finish(answer, feedback = null, rates = true) {
      citations = answer.citations;
      answerId = answer.answer_id;
      const coverage = answer.coverage?.text ?? "";
      text = answer.answer;
      if (coverage && text.endsWith(coverage)) text = text.slice(0, -coverage.length); // it has its own line
      parts.status.textContent = "";
      parts.widgets.replaceChildren(...answer.widgets.map(widget).filter(Boolean));
      parts.text.replaceChildren(...written(text, known(), open));
      const mode = answer.abstained ? "abstained" : answer.mode;
      const [label, meaning] = MODES[mode] ?? [mode, ""];
      const note = answer.note ? ` ${answer.note}` : "";
      parts.how.replaceChildren(element("strong", { className: `mode ${mode}` }, label), ` ${meaning}${note}`);
      parts.how.hidden = false;
      parts.sources.replaceChildren(...citations.map((one) => sourceItem(one, open)));
      parts.count.textContent = `Sources (${citations.length})`;
      cited.hidden = citations.length === 0;
      cited.open = citations.length <= 6;
      if (coverage) {
        covered = true;
        $("coverage").textContent = coverage;
      }
      if (rates && answer.message_id) parts.feedback.replaceChildren(...ratings(answer.message_id, feedback));
      parts.feedback.hidden = !(rates && answer.message_id);
    },
  };
}

/** Two buttons, of which one can be pressed. */
function ratings(messageId, feedback) {
  const told = element("span", { role: "status" });
  const buttons = [["up", "Helpful"], ["down", "Not helpful"]].map(([rating, label]) => {
    const button = element("button", { type: "button", className: "quiet" }, label);
    button.setAttribute("aria-pressed", String(feedback?.rating === rating));
    button.addEventListener("click", async () => {
      const taken = button.getAttribute("aria-pressed") === "true";
      const reason = !taken && rating === "down" ? await prompted($("why")) : null;
      await attempt(async () => {
        await call("POST", `/v1/messages/${messageId}/feedback`, { rating: taken ? null : rating, reason });
        for (const one of buttons) one.setAttribute("aria-pressed", String(one === button && !taken));
        told.textContent = taken ? "Taken back." : "Thank you.";
      });
    });
    return button;
  });
  return [...buttons, told];
}

/** A panel with a source and each step that led to it. */
async function showSource(citation, answerId) {
  if (!citation) return;
  $("source-title").replaceChildren(titleLink(citation.title || place(citation), citation.url));
  $("source-place").textContent = named(citation);
  $("lineage").replaceChildren(element("li", {}, "…"));
  $("source").showModal();
  try {
    const where = shareId ? `/v1/shared/${encodeURIComponent(shareId)}` : "/v1";
    const found = await call("GET", `${where}/answers/${answerId}/lineage`);
    $("lineage").replaceChildren(...lineage(found.citations.find((one) => one.n === citation.n)?.steps ?? []));
  } catch (error) {
    $("lineage").replaceChildren(element("li", { className: "error" }, error.message));
  }
}

function showError(message) {
  $("error").textContent = message;
  $("error").hidden = !message;
}

/** Do something; what is refused is shown. */
async function attempt(work) {
  showError("");
  try {
    return await work();
  } catch (error) {
    if (error instanceof Problem && error.status === 401) $("sign").hidden = false;
    showError(error.message);
    return undefined;
  }
}

function setBusy(busy) {
  document.body.classList.toggle("busy", busy);
  $("ask").textContent = busy ? "Stop" : "Ask";
  $("busy").textContent = busy ? "Answering. Escape stops." : "Answered.";
}

function scope() {
  const repos = $("repos").value.split(/[\s,]+/).filter(Boolean);
  return { repos, since: $("since").value || null, until: $("until").value || null };
}

async function ask(event) {
  event?.preventDefault();
  if (request) return void request.abort();
  const question = $("question").value.trim();
  if (!question) return void $("question").focus();
  const { since, until } = scope();
  if (since && until && since >= until) return showError(`The dates leave no day: until ${until} is not after ${since}.`);
  showError("");
  const mine = (request = new AbortController());
  const one = turn(question);
  setBusy(true);
  $("question").value = "";
  one.article.scrollIntoView({ block: "start" });
  let ended = false;
  try {
    await begin();
    const body = { question, scope: scope(), ...(thread && { thread_id: thread }) };
    for await (const [name, data] of asked(body, mine.signal)) {
      if (name === "status") one.status(data.text);
      else if (name === "delta") one.add(data.text);
      else if (name === "widget") one.draw(data);
      else if (name === "done") one.finish(data);
      else if (name === "error") one.fail(data.message ?? data.detail);
      ended ||= name === "done" || name === "error";
    }
    if (!ended) one.fail("The answer broke off: the service went away. Ask again.");
  } catch (error) {
    if (error.name === "AbortError") one.status("Stopped.");
    else {
      if (error.status === 401) $("sign").hidden = false;
      one.fail(error.message);
      $("question").value ||= question;
    }
  } finally {
    if (request === mine) {
      request = null;
      setBusy(false);
    }
  }
  if (thread) await attempt(() => opened(thread));
}

/** The first question of a thread makes it; who may keep none asks without. */
async function begin() {
  if (thread || !keepsThreads) return;
  try {
    thread = (await call("POST", "/v1/threads", {})).thread_id;
    history.replaceState(null, "", `#${thread}`);
  } catch (error) {
    if (error.status !== 403) throw error;
    keepsThreads = false;
  }
}

/** The list and the head of the page for the thread that is open. */
async function opened(current) {
  const found = await listThreads(current, openThread);
  $("thread-title").textContent = found?.title ?? "";
  $("thread-actions").hidden = !current;
  $("share").textContent = found?.share_id ? "Shared" : "Share";
}

async function openThread(id) {
  await attempt(async () => {
    const found = await call("GET", `/v1/threads/${id}`);
    request?.abort();
    thread = id;
    history.replaceState(null, "", `#${id}`);
    showMessages(found.messages);
    await opened(id);
  });
  showSide(false);
  $("question").focus();
}

function showMessages(messages, rates = true) {
  $("turns").replaceChildren();
  $("start").hidden = messages.length > 0;
  let last = null;
  for (const message of messages) {
    if (message.role === "user") last = turn(message.text);
    else last.finish(message.answer, message.feedback, rates);
  }
}

function newThread() {
  request?.abort();
  thread = null;
  history.replaceState(null, "", "/");
  showMessages([]);
  showError("");
  showSide(false);
  $("thread-title").textContent = "";
  $("thread-actions").hidden = true;
  for (const one of document.querySelectorAll("[aria-current]")) one.removeAttribute("aria-current");
  $("question").focus();
}

async function share() {
  await attempt(async () => {
    const { path } = await call("POST", `/v1/threads/${thread}/share`);
    $("share").textContent = "Shared";
    const stop = await prompted($("sharing"), location.origin + path);
    if (stop === null) return;
    await call("DELETE", `/v1/threads/${thread}/share`);
    $("share").textContent = "Share";
  });
}

async function rename() {
  const title = await prompted($("renaming"), $("thread-title").textContent);
  if (!title) return;
  await attempt(async () => {
    await call("PATCH", `/v1/threads/${thread}`, { title });
    await opened(thread);
  });
}

async function remove() {
  if ((await prompted($("deleting"))) === null) return;
  await attempt(async () => {
    await call("DELETE", `/v1/threads/${thread}`);
    newThread();
    await listThreads(null, openThread);
  });
}

async function sign() {
  const key = await prompted($("signing"));
  $("signing").querySelector("input").value = "";
  if (!key) return;
  await attempt(async () => {
    await call("POST", "/v1/session", { key });
    $("sign").hidden = true;
    keepsThreads = true;
    await start();
  });
}

function showSide(shown) {
  document.body.classList.toggle("side", shown);
  $("menu").ariaExpanded = String(shown);
}

function onKey(event) {
  if (event.isComposing || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input, textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    $("question").focus();
  } else if (event.key === "Escape") {
    if (request) request.abort();
    else showSide(false);
  } else if (event.key === "Enter" && !event.shiftKey && event.target === $("question")) ask(event);
}

function describeFilters() {
  const { repos, since, until } = scope();
  const parts = [repos.join(", "), since && `from ${since}`, until && `until ${until}`].filter(Boolean);
  $("narrowed").textContent = parts.length ? `Narrowed: ${parts.join(" ")}` : "Narrow to repositories or dates";
  $("narrowed").classList.toggle("active", parts.length > 0);
  $("widen").hidden = parts.length === 0;
}

/** Before the first answer the line says whether one can be had; after it, what the answer rests on. */
async function watchReadiness() {
  const body = await fetch("/readyz").then((response) => response.json()).catch(() => null);
  if (body?.ready && body.release !== null) {
    if (!covered) $("coverage").textContent = body.coverage.text;
    if (!shareId) await suggest();
    return;
  }
  if (body?.ready) $("coverage").textContent = "No release is served yet, so there is nothing to answer from.";
  else if (body) $("coverage").textContent = body.error ?? "The service is starting.";
  else $("coverage").textContent = "The service cannot be reached.";
  setTimeout(watchReadiness, 3000);
}

/** Questions that the data can answer. */
async function suggest() {
  const { suggestions } = await call("GET", "/v1/suggestions").catch(() => ({ suggestions: [] }));
  $("suggestions").replaceChildren(...suggestions.map((text) => {
    const button = element("button", { type: "button" }, text);
    button.addEventListener("click", () => {
      $("question").value = text;
      ask();
    });
    return element("li", {}, button);
  }));
}

/** Who asks, and the thread that the address names. */
async function start() {
  const session = await call("GET", "/v1/session");
  $("sign").hidden = session.identity !== "anonymous" || session.anonymous_allowed;
  keepsThreads = session.scopes.includes("threads");
  const named_ = location.hash.slice(1);
  if (named_) await openThread(named_);
  else await opened(null);
}

/** A thread that somebody shared is read, not continued. */
async function readShared() {
  document.body.classList.add("shared");
  $("form").hidden = $("side").hidden = $("menu").hidden = true;
  const found = await call("GET", `/v1/shared/${encodeURIComponent(shareId)}`);
  $("thread-title").textContent = found.title ?? "";
  showMessages(found.messages, false);
}

$("form").addEventListener("submit", ask);
$("filters").addEventListener("input", describeFilters);
$("widen").addEventListener("click", () => {
  for (const id of ["repos", "since", "until"]) $(id).value = "";
  describeFilters();
  $("repos").focus();
});
$("menu").addEventListener("click", () => showSide(!document.body.classList.contains("side")));
$("new").addEventListener("click", newThread);
$("share").addEventListener("click", share);
$("rename").addEventListener("click", rename);
$("delete").addEventListener("click", remove);
$("sign").addEventListener("click", sign);
$("copy").addEventListener("click", async () => {
  $("link").select();
  await navigator.clipboard?.writeText($("link").value).catch(() => {});
  $("copy").textContent = "Copied";
});
document.addEventListener("keydown", onKey);
describeFilters();
watchReadiness();
attempt(shareId ? readShared : start);
